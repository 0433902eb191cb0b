"""A network as one of several processes trains it: the statistics and the noise of the whole batch."""

import torch
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed, nn

from evenkeel import surgery
from evenkeel.train.ranks import Ranks


class SharedDropout(nn.Dropout):
    """Dropout of a part of a batch, with the mask that the whole batch would get.

    Every process draws for the whole batch, on the CPU, and takes its own rows: so the noise does not
    depend on the number of processes, and all generators stay alike.

    >>> whole, part = nn.Dropout(0.5), SharedDropout(0.5, batch_size=4, rows=slice(1, 3))
    >>> _ = torch.manual_seed(0)
    >>> y = whole(torch.ones(4, 8))
    >>> _ = torch.manual_seed(0)
    >>> torch.equal(part(torch.ones(2, 8)), y[1:3])
    True
    """

    def __init__(self, p: float, *, batch_size: int, rows: slice) -> None:
        super().__init__(p)
        self.batch_size, self.rows = batch_size, rows

    def forward(self, x: Tensor) -> Tensor:
        """As nn.Dropout."""
        if not self.training or self.p in (0, 1):
            return super().forward(x)  # nothing is drawn
        noise = torch.empty(self.batch_size, *x.shape[1:], dtype=x.dtype).bernoulli_(1 - self.p)
        return x * noise[self.rows].to(x.device).div_(1 - self.p)


def spread(network: nn.Module, batch_size: int, ranks: Ranks) -> nn.Module:
    """The network for this process's part of each batch; the network itself when it is alone."""
    if ranks.size == 1:
        return network
    rows = ranks.part(batch_size)
    for parent in [*network.modules()]:
        for name, child in parent.named_children():
            if isinstance(child, nn.Dropout):
                setattr(parent, name, SharedDropout(child.p, batch_size=batch_size, rows=rows))
    return surgery.convert(network, to="sync")


class OrderedDDP(DDPStrategy):
    """Lightning's strategy, with gradients added up in the order of ranks.

    An all_reduce adds a value in an order that depends on its place in the message, and places depend
    on the order in which gradients came in the step before: after a resume there is none, and three
    or more processes would differ in the last bit.
    """

    def __init__(self) -> None:
        super().__init__(
            cluster_environment=TorchElasticEnvironment(),
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
        )

    def configure_ddp(self) -> None:
        """Wrap the model, and take the sums into our own hands."""
        super().configure_ddp()
        self.model.register_comm_hook(None, _mean_in_order)  # type: ignore[union-attr, operator]


def _mean_in_order(
    _: object,
    bucket: distributed.GradBucket,  # type: ignore[name-defined]  # torch reads the annotation
) -> torch.futures.Future[Tensor]:
    """Gathered, because gloo's all_to_all of torch 2.13 hangs; as much to send for two processes."""
    values, size = bucket.buffer(), distributed.get_world_size()
    parts = [torch.empty_like(values) for _ in range(size)]
    distributed.all_gather(parts, values)
    total = values.copy_(parts[0])
    for part in parts[1:]:
        total.add_(part)
    done = torch.futures.Future[Tensor]()
    done.set_result(total.div_(size))
    return done
