"""What each of two processes does in the tests of SyncBatchNorm under torch's tools.

The reference is the same model with BatchNorm on the whole batch, in the same process.
"""

import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel as Ddp
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

import evenkeel as ek
from evenkeel.lightning import SyncLayers

SIZES = (5, 3)  # examples of each rank
WORLD = len(SIZES)


def conv(inputs: int, outputs: int, padding: int = 0) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=padding, bias=False)  # whose gradient would be 0


class Net(nn.Module):
    """Two layers of batch norm, and a branch that may stay unused."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(conv(2, 4, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.Tanh())
        self.branch = nn.Sequential(conv(2, 4), nn.BatchNorm2d(4))
        self.last = nn.Linear(16, 1)

    def forward(self, x: Tensor, *, branch: bool = True) -> Tensor:
        deep = self.second(self.first(x))
        y: Tensor = self.last((deep + self.branch(x) if branch else deep).flatten(1))
        return y


class Checkpointed(Net):
    """Both layers of batch norm inside of one checkpointed part."""

    reentrant = False

    def forward(self, x: Tensor, *, branch: bool = True) -> Tensor:
        part = nn.Sequential(self.first, self.second)
        deep = checkpoint(part, x, use_reentrant=self.reentrant)
        y: Tensor = self.last((deep + self.branch(x) if branch else deep).flatten(1))
        return y


def model(kind: type[Net] = Net) -> Net:
    torch.manual_seed(0)
    return kind().double()


def batches(count: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (sum(SIZES), 2, 4, 4)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) + k for k in range(count)]


def mine(x: Tensor, rank: int) -> Tensor:
    return torch.split(x, list(SIZES))[rank]


def loss_of(y: Tensor) -> Tensor:
    """A sum over examples, over their number on all ranks; ×WORLD undoes what DDP divides by."""
    return y.square().sum() / sum(SIZES)


def full(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def apart(got: nn.Module, want: nn.Module, gradients: bool = True) -> float:
    """The largest difference of buffers and gradients, relative to the largest value."""
    pairs = [(b, a) for a, b in zip(want.buffers(), got.buffers(), strict=True)]
    if gradients:
        for a, b in zip(want.parameters(), got.parameters(), strict=True):
            ours, theirs = (torch.zeros_like(p) if p.grad is None else p.grad for p in (b, a))
            pairs.append((full(ours), theirs))
    return max(distance(b, a) for b, a in pairs)


def distance(got: Tensor, want: Tensor) -> float:
    got, want = got.detach().double(), want.detach().double()
    return float((got - want).abs().max() / want.abs().max().clamp_min(1e-9))


def whole(**options: Any) -> Net:
    """The reference after two batches whose gradients add up."""
    net: Any = ek.convert(model())
    for x in batches():
        loss_of(net(x, **options)).backward()  # type: ignore[no-untyped-call]
    return cast(Net, net)


def stepped(net: Callable[..., Tensor], rank: int, **options: Any) -> None:
    for x in batches():
        (WORLD * loss_of(net(mine(x, rank), **options))).backward()  # type: ignore[no-untyped-call]


def sync(kind: type[Net] = Net) -> Any:
    return ek.convert(model(kind), sync=True)


def under_ddp(rank: int, kind: type[Net] = Net, **options: Any) -> float:
    net = sync(kind)
    stepped(Ddp(net, **options), rank)
    return apart(net, whole())


def without_sync(rank: int) -> float:
    """The first batch under no_sync: its gradients are summed with the second's."""
    net = sync()
    ddp = Ddp(net)
    for x, quiet in zip(batches(), (True, False), strict=True):
        with ddp.no_sync() if quiet else nullcontext():
            (WORLD * loss_of(ddp(mine(x, rank)))).backward()  # type: ignore[no-untyped-call]
    return apart(net, whole())


def unused(rank: int) -> float:
    net = sync()
    stepped(Ddp(net, find_unused_parameters=True), rank, branch=False)
    return apart(net, whole(branch=False))


def compiled(rank: int) -> float:
    torch._dynamo.reset()
    net = sync()
    stepped(torch.compile(Ddp(net), backend="aot_eager"), rank)
    return apart(net, whole())


def reentrant(rank: int) -> float:
    class Reentrant(Checkpointed):
        reentrant = True

    net, want = sync(Reentrant), whole()
    for x in batches():  # DDP does not take reentrant checkpoints without a static graph
        part = mine(x, rank).clone().requires_grad_()
        loss_of(net(part)).backward()  # type: ignore[no-untyped-call]
    for parameter in net.parameters():
        distributed.all_reduce(parameter.grad)
    return apart(net, want)


def sharded(rank: int) -> float:
    """FSDP2: parameters are DTensors, sharded block by block."""
    net = sync()
    for part in (net.first, net.second, net.branch):
        fully_shard(part)
    stepped(fully_shard(net), rank)
    return apart(net, whole())


def sharded_before(rank: int) -> float:
    net = sync()
    fsdp = FullyShardedDataParallel(net, use_orig_params=True, device_id=torch.device("cpu"))
    stepped(fsdp, rank)
    want = whole()
    with FullyShardedDataParallel.summon_full_params(fsdp, with_grads=True):
        return apart(net, want)


def accumulated(rank: int) -> float:
    """Micro-batches on ranks: the running statistics are those of all of them together."""
    net, want = sync(), ek.convert(model())
    ddp = Ddp(net)
    whole_first = torch.cat(batches())
    want.get_submodule("first")(whole_first)
    with ek.accumulated(net):
        for x in batches():
            ddp(mine(x, rank))
    return apart(net.first, want.get_submodule("first"), gradients=False)


def in_lockstep(rank: int) -> float:
    """Micro-batches of every rank normalized as one batch."""
    net, want = sync(Checkpointed), ek.convert(model())
    for x in batches():
        parts = ek.lockstep(net, torch.split(mine(x, rank), 2))
        torch.stack([loss_of(part) for part in parts]).sum().backward()  # type: ignore[no-untyped-call]
        loss_of(want(x)).backward()  # type: ignore[no-untyped-call]
    for parameter in net.parameters():
        distributed.all_reduce(parameter.grad)
    return apart(net, want)


class Module(LightningModule):
    """The same two steps in Lightning; what its layers were during the fit."""

    def __init__(self) -> None:
        super().__init__()
        self.net = ek.convert(model())
        self.seen: list[str] = []
        self.gradients: list[Tensor] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.net.parameters(), 0.0)

    def training_step(self, x: Tensor, _: int) -> Tensor:
        self.seen = norms(self.net)
        return WORLD * loss_of(self.net(x))

    def on_before_optimizer_step(self, _: Any) -> None:
        self.gradients = [p.grad.clone() for p in self.net.parameters() if p.grad is not None]


def in_lightning(rank: int) -> dict[str, Any]:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(WORLD))
    os.environ.update(GROUP_RANK="0", LOCAL_WORLD_SIZE=str(WORLD), TORCHELASTIC_RUN_ID="here")
    module = Module()
    quiet = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")
    options: Any = dict.fromkeys(quiet, False)
    trainer = Trainer(
        accelerator="cpu",
        devices=WORLD,
        strategy="ddp",
        plugins=[SyncLayers()],
        max_epochs=1,
        accumulate_grad_batches=2,
        use_distributed_sampler=False,
        **options,
    )
    parts: Any = [mine(x, rank) for x in batches()]
    trainer.fit(module, DataLoader(parts, batch_size=None))
    want = whole()
    for parameter, gradient in zip(module.net.parameters(), module.gradients, strict=True):
        parameter.grad = 2 * gradient  # accumulation divides by the number of batches
    return {"apart": apart(module.net, want), "during": module.seen, "after": norms(module.net)}


def norms(net: nn.Module) -> list[str]:
    return [type(part).__name__ for part in net.modules() if "Norm" in type(part).__name__]


def kinds_of_input(rank: int) -> dict[str, float]:
    """Shapes, layouts and dtypes: y, dx and buffers against float64 on the whole batch."""
    shapes = {"[N, C]": (8, 6), "[N, C, L]": (8, 6, 5), "[N, C, D, H, W]": (8, 6, 2, 3, 2)}
    found = {
        name: one_call(rank, torch.randn(shape, generator=torch.Generator().manual_seed(2)))
        for name, shape in shapes.items()
    }
    image = torch.randn(8, 6, 4, 4, generator=torch.Generator().manual_seed(2))
    found["channels_last"] = one_call(rank, image.to(memory_format=torch.channels_last))
    found["strided"] = one_call(rank, image.mT)
    for dtype in (torch.float16, torch.bfloat16):
        found[str(dtype)] = one_call(rank, image.to(dtype))
        with torch.autocast("cpu", dtype):
            found[f"autocast {dtype}"] = one_call(rank, image)
    return found


def one_call(rank: int, x: Tensor) -> float:
    layer, plain = ek.SyncBatchNorm(6, activation="tanh"), ek.BatchNorm(6, activation="tanh")
    plain.double()
    exact = x.double().requires_grad_()
    part = mine(x.detach(), rank).requires_grad_()
    want, got = plain(exact), layer(part)
    assert got.dtype == x.dtype
    assert got.stride() == ek.BatchNorm(6, activation="tanh")(part).stride()
    (dx,) = torch.autograd.grad(want.pow(2).sum(), exact)
    (own,) = torch.autograd.grad(got.pow(2).sum(), part)
    pairs = [(got, mine(want, rank)), (own, mine(dx, rank))]
    buffers = zip(layer.buffers(), plain.buffers(), strict=True)
    return max(distance(a, b) for a, b in [*pairs, *buffers])


def messages(rank: int) -> dict[str, Any]:
    """A checkpointed model's recomputation says what was said before, on all ranks in one order."""
    net = sync(Checkpointed)
    loss_of(net(mine(batches()[0], rank))).backward()  # type: ignore[no-untyped-call]
    return {name: int(n) for name, n in net.named_buffers() if name.endswith("tracked")}


def run(rank: int, folder: str) -> None:
    """The whole life of one process; its findings go to a file."""
    torch.set_num_threads(1)
    store = distributed.FileStore(f"{folder}/store", WORLD)  # type: ignore[attr-defined]
    distributed.init_process_group(
        "gloo", store=store, rank=rank, world_size=WORLD, timeout=timedelta(seconds=60)
    )
    found = {
        "DDP": under_ddp(rank),
        "static graph": under_ddp(rank, static_graph=True),
        "no_sync": without_sync(rank),
        "unused parameters": unused(rank),
        "compiled": compiled(rank),
        "checkpoint": under_ddp(rank, Checkpointed),
        "reentrant checkpoint": reentrant(rank),
        "fully_shard": sharded(rank),
        "FullyShardedDataParallel": sharded_before(rank),
        "accumulated": accumulated(rank),
        "lockstep": in_lockstep(rank),
        "kinds": kinds_of_input(rank),
        "counted": messages(rank),
    }
    found["lightning"] = in_lightning(rank)
    Path(f"{folder}/{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()
