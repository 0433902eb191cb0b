"""Training calls as operators of torch's, so that torch.compile takes a layer into its graph whole.

Outside of torch.compile nothing goes through here: an operator that is registered from Python costs
tens of microseconds a call, several times the work on a small tensor.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from evenkeel.autograd.functions import needed
from evenkeel.kernels import Call, library
from evenkeel.kernels.activations import finish
from evenkeel.kernels.backward import native as native_backward
from evenkeel.kernels.fused import composite
from evenkeel.kernels.fused import native as native_train
from evenkeel.kernels.fused.native import MEAN, VAR
from evenkeel.kernels.plan import plan_of
from evenkeel.kernels.table import unwatched
from evenkeel.views import Rows, statistics_dtype

__all__ = ["at_work", "normalize", "train"]

SIGNATURE = (
    "(Tensor x, Tensor? weight, Tensor? bias, Tensor? residual, "
    "float eps, int[] axes, str? activation) -> (Tensor, Tensor)"
)
SIGNATURE_BACKWARD = (
    "(Tensor dy, Tensor x, Tensor? y, Tensor? residual, Tensor? weight, Tensor? bias, "
    "Tensor statistics, float eps, int[] axes, str? activation, bool[] wanted) "
    "-> (Tensor, Tensor, Tensor, Tensor)"
)


def at_work() -> bool:
    """Whether torch.compile or torch.export is reading this call, and nobody watches the choice."""
    return torch.compiler.is_compiling() and unwatched()


def train(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    axes: tuple[int, ...],
    residual: Tensor | None,
    activation: str | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """activation(normalized x + residual), batch mean [C], biased batch variance [C]."""
    if _by_operator(x):
        dtype = library.parameter_dtype(x, weight, bias)
        vectors = (None if v is None else v.to(dtype) for v in (weight, bias))
        operator = torch.ops.evenkeel.train
        y, statistics = operator(x, *vectors, residual, eps, list(axes), activation)
        return y, statistics[MEAN].detach(), statistics[VAR].detach()
    y, mean, var = composite.by_batch(x, weight, bias, eps, axes)
    return finish(y, residual, activation), mean.detach(), var.detach()


def normalize(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    axes: tuple[int, ...],
    residual: Tensor | None,
    activation: str | None,
) -> Tensor:
    """activation(x normalized by mean and var [C] + residual), for torch.compile to fuse further."""
    dtype = statistics_dtype(x)
    rstd = (var.to(dtype) + eps).rsqrt()
    y = composite.by_given(x, mean.to(dtype), rstd, weight, bias, axes)
    return finish(y, residual, activation)


def _by_operator(x: Tensor) -> bool:
    # An exported program must run where this package is not.
    exporting = getattr(torch.compiler, "is_exporting", lambda: False)()
    return x.device.type == "cpu" and not exporting and not _transformed() and _present()


def _present() -> bool:
    return not library.why_missing()


def _transformed() -> bool:
    return bool(torch._C._are_functorch_transforms_active())


# What torch.compiler.assume_constant_result does; calling it costs a second, in which it imports the
# whole compiler.
for _function in (_present, _transformed):
    _function._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _train(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    eps: float,
    axes: Sequence[int],
    activation: str | None,
) -> tuple[Tensor, Tensor]:
    call = Call.of(x, tuple(axes))
    if call.view is None:  # gaps in memory: one copy
        rows = call.rows_of_x
        rest = None if residual is None else rows.of(residual)
        seen, statistics = _train(rows.of(x).contiguous(), weight, bias, rest, eps, [1], activation)
        return _back(rows, x, seen), statistics
    plan = plan_of(call, library.parameter_dtype(x, weight, bias), eps, activation)
    rest = None if residual is None else library.alike(residual, x)
    vectors = plan.suited(weight), plan.suited(bias)
    y, (statistics, _) = native_train.forward(plan, x, *vectors, rest, None)
    return y, statistics


def _train_fake(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    eps: float,
    axes: Sequence[int],
    activation: str | None,
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty((5, _channels(x, axes)), dtype=statistics_dtype(x))


def _backward(
    dy: Tensor,
    x: Tensor,
    y: Tensor | None,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    statistics: Tensor,
    eps: float,
    axes: Sequence[int],
    activation: str | None,
    wanted: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    call = Call.of(x, tuple(axes))
    if call.view is None:
        rows = call.rows_of_x
        seen = rows.of(dy).contiguous(), rows.of(x).contiguous()
        kept = _rows_of(rows, y), _rows_of(rows, residual)
        given = *seen, *kept, weight, bias, statistics, eps, [1], activation, wanted
        dx, dweight, dbias, dresidual = _backward(*given)
        return _back(rows, x, dx), dweight, dbias, _back(rows, x, dresidual)
    plan = plan_of(call, library.parameter_dtype(x, weight, bias), eps, activation)
    vectors = plan.suited(weight), plan.suited(bias)
    y, residual = (None if v is None else library.alike(v, x) for v in (y, residual))
    gradients = native_backward.run(plan, dy, x, y, residual, *vectors, statistics, wanted)
    nothing = x.new_empty(0)
    dx, dweight, dbias, dresidual = (nothing if g is None else g for g in gradients)
    return dx, dweight, dbias, dresidual


def _backward_fake(
    dy: Tensor,
    x: Tensor,
    y: Tensor | None,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    statistics: Tensor,
    eps: float,
    axes: Sequence[int],
    activation: str | None,
    wanted: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dtype = library.parameter_dtype(x, weight, bias)
    likes = x, statistics[0].to(dtype), statistics[0].to(dtype), x
    # Each a tensor of its own: torch takes two outputs that are one object for one output.
    dx, dweight, dbias, dresidual = (
        torch.empty_like(like) if want else x.new_empty(0)
        for like, want in zip(likes, wanted, strict=True)
    )
    return dx, dweight, dbias, dresidual


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weight, bias, residual, ctx.eps, ctx.axes, ctx.activation = inputs
    y, statistics = output
    ctx.save_for_backward(x, *needed(ctx.activation, y, residual), weight, bias, statistics)


def _differentiate(ctx: Any, dy: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    wanted = list(ctx.needs_input_grad[:4])
    through = wanted[3] and not ctx.activation  # the residual's gradient is dy itself
    asked = [*wanted[:3], wanted[3] and not through]
    operator = torch.ops.evenkeel.train_backward
    found = operator(dy, *ctx.saved_tensors, ctx.eps, ctx.axes, ctx.activation, asked)
    gradients = [g if want else None for g, want in zip(found, asked, strict=True)]
    return *gradients[:3], dy if through else gradients[3], None, None, None


def _rows_of(rows: Rows, v: Tensor | None) -> Tensor | None:
    return None if v is None else rows.of(v).contiguous()


def _back(rows: Rows, x: Tensor, seen: Tensor) -> Tensor:
    """In the shape of ``x``, laid out as torch's fake tensors say that it is: as ``empty_like(x)``."""
    if seen.numel() == 0:
        return seen
    y = rows.back(seen)
    like = torch.empty_like(x)
    return y if y.stride() == like.stride() else like.copy_(y)


def _channels(x: Tensor, axes: Sequence[int]) -> int:
    return prod([x.shape[axis] for axis in axes])


torch.library.define("evenkeel::train", SIGNATURE)
torch.library.impl("evenkeel::train", "CPU", _train)
torch.library.register_fake("evenkeel::train", _train_fake)
torch.library.register_autograd("evenkeel::train", _differentiate, setup_context=_save)
torch.library.define("evenkeel::train_backward", SIGNATURE_BACKWARD)
torch.library.impl("evenkeel::train_backward", "CPU", _backward)
torch.library.register_fake("evenkeel::train_backward", _backward_fake)
