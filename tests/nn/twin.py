"""A batch-norm layer by definition, in float64, that trains beside a real one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenkeel.nn import BatchNorm
from oracles import budgets, definitions
from oracles.compare import assert_close

Average = Callable[[Tensor, Sequence[Tensor]], Tensor]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "silu": F.silu,
    "hardswish": F.hardswish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
}


def ema(momentum: float) -> Average:
    """The exponential average in closed form: every batch by the weight that is left of it."""

    def average(initial: Tensor, batches: Sequence[Tensor]) -> Tensor:
        old, last = 1 - momentum, len(batches) - 1
        parts = [momentum * old ** (last - t) * b for t, b in enumerate(batches)]
        return old ** len(batches) * initial + torch.stack(parts).sum(0)

    return average


def debiased(momentum: float) -> Average:
    """Adam's: the average from 0, divided by the weights' sum 1 − (1 − momentum)^t."""

    def average(initial: Tensor, batches: Sequence[Tensor]) -> Tensor:
        biased = ema(momentum)(torch.zeros_like(initial), batches)
        return biased / (1 - (1 - momentum) ** len(batches))

    return average


def plain(initial: Tensor, batches: Sequence[Tensor]) -> Tensor:
    """The arithmetic mean."""
    return torch.stack(list(batches)).mean(0)


@dataclass
class Twin:
    """What a layer should do; it starts from the layer's own values."""

    layer: BatchNorm
    mean_rule: Average = field(default_factory=lambda: ema(0.1))
    var_rule: Average = field(default_factory=lambda: ema(0.1))
    unbiased: bool = True
    eps: float = 1e-5
    channel_axis: definitions.Axes = 1
    activation: str | None = None
    means: list[Tensor] = field(default_factory=list)
    vars: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        mean, var = self.layer.running_mean, self.layer.running_var
        assert mean is not None
        assert var is not None
        self.initial = mean.double().clone(), var.double().clone()

    def forward(self, x: Tensor, given: list[Tensor], residual: Tensor | None) -> Tensor:
        """The definition of a training step's output; ``given`` are weight and bias, as present."""
        named = dict(zip(dict(self.layer.named_parameters()), given, strict=True))
        return self._finish(x, named.get("weight"), named.get("bias"), None, residual)

    def see(self, x: Tensor) -> None:
        """Remember the statistics of a batch."""
        rows = definitions.channels_last(x, self.channel_axis)
        mean, var = definitions.moments(rows)
        shape = self.initial[0].shape
        self.means.append(mean.view(shape))
        count = len(rows)
        self.vars.append((var * count / (count - 1) if self.unbiased else var).view(shape))

    @property
    def running(self) -> tuple[Tensor, Tensor]:
        """The running mean and variance after what was seen."""
        if not self.means:
            return self.initial
        return (
            self.mean_rule(self.initial[0], self.means),
            self.var_rule(self.initial[1], self.vars),
        )

    def infer(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """The definition of inference."""
        return self._finish(x, self.layer.weight, self.layer.bias, self.running, residual)

    def _finish(
        self,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        given: tuple[Tensor, Tensor] | None,
        residual: Tensor | None,
    ) -> Tensor:
        y = definitions.batch_norm(x, weight, bias, self.eps, self.channel_axis, given)
        y = y if residual is None else y + residual.double()
        return y if self.activation is None else ACTIVATIONS[self.activation](y)


def check_step(twin: Twin, x: Tensor, residual: Tensor | None = None) -> None:
    """One training step of layer and twin: output, every gradient, running statistics."""
    layer = twin.layer
    dy = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view(x.shape)
    inputs = [x, *layer.parameters(), *([] if residual is None else [residual])]
    mine = [v.detach().clone().requires_grad_() for v in inputs]
    y = torch.func.functional_call(
        layer,
        dict(zip(dict(layer.named_parameters()), mine[1:], strict=False)),
        (mine[0],),
        {} if residual is None else {"residual": mine[-1]},
    )
    grads = torch.autograd.grad(y, mine, dy)
    true = [v.detach().double().requires_grad_() for v in inputs]
    parameters = true[1 : 1 + len(list(layer.parameters()))]
    want = twin.forward(true[0], parameters, None if residual is None else true[-1])
    wanted = torch.autograd.grad(want, true, dy.double())
    gamma, beta = (None if v is None else v.detach() for v in (layer.weight, layer.bias))
    allowed = budgets.of(x, dy, gamma, beta, twin.eps, twin.channel_axis)
    names = ["x", *dict(layer.named_parameters()), *([] if residual is None else ["residual"])]
    limits = {"x": allowed.dx, "weight": allowed.dweight, "bias": allowed.dbias, "residual": 1e-6}
    assert_close(y, want, allowed.y, "y", dtype=x.dtype, scale=1)
    for name, got, true_grad in zip(names, grads, wanted, strict=True):
        assert_close(got, true_grad, limits[name], f"d{name}", dtype=got.dtype, scale=1)
    twin.see(x)
    check_running(twin, x.dtype)


def check_running(twin: Twin, dtype: torch.dtype) -> None:
    """The running statistics of layer and twin, each within 1e-5 (1e-12 in float64)."""
    budget = 1e-12 if dtype == torch.float64 else 1e-5
    mean, var = twin.layer.running_mean, twin.layer.running_var
    assert mean is not None
    assert var is not None
    assert not mean.requires_grad
    want_mean, want_var = twin.running
    assert_close(mean, want_mean, budget, "running_mean", dtype=mean.dtype)
    assert_close(var, want_var, budget, "running_var", dtype=var.dtype)
    batches = twin.layer.num_batches_tracked
    assert batches is not None
    assert int(batches) == len(twin.means)


def check_inference(twin: Twin, x: Tensor, residual: Tensor | None = None) -> None:
    """An inference of layer and twin, which moves nothing."""
    layer = twin.layer.eval()
    y = layer(x, residual=residual)
    mean, var = twin.running
    size = (mean.abs().max() + 10) / var.min().sqrt()
    want = twin.infer(x, residual)
    budget = 16 * budgets.UNIT[x.dtype] * float(size) + 1e-12
    assert_close(y, want, budget, "y in inference", dtype=x.dtype, scale=1)
    check_running(twin, x.dtype)
    layer.train()


def check(twin: Twin, batches: Sequence[Tensor], residual: Tensor | None = None) -> None:
    """Several training steps, an inference, one more training step."""
    for x in batches:
        check_step(twin, x, residual)
    check_inference(twin, batches[0], residual)
    check_step(twin, batches[-1], residual)


def randomized(layer: nn.Module) -> BatchNorm:
    """The layer with parameters and running statistics that are not the initial ones."""
    assert isinstance(layer, BatchNorm)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            if getattr(layer, name) is not None:
                getattr(layer, name).uniform_(0.5, 1.5, generator=generator)
    return layer


def data(
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float64,
    distance: float = 1.0,
    count: int = 3,
    seed: int = 0,
) -> list[Tensor]:
    """Batches of normal values at a distance from zero, each with a mean of its own."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn((count, *shape), generator=generator, dtype=torch.float64)
    shifts = torch.arange(1, count + 1, dtype=torch.float64).view(-1, *[1] * len(shape))
    return list((drawn * shifts.sqrt() + distance * (1 + shifts / 8) * (distance > 0)).to(dtype))
