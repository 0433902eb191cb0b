"""Backward in one native call: dx, dweight, dbias and dresidual, through the activation."""

from collections.abc import Sequence

import torch
from torch import Tensor

from evenkeel.kernels import library
from evenkeel.kernels.fused.native import MEAN_LOW, RSTD
from evenkeel.kernels.plan import Plan, plan_of
from evenkeel.kernels.table import Call

# Where the forward pass added a residual, the activation's derivative is told by its output for
# these (in 16 bits only for the first: the others would inherit the output's rounding), and by the
# residual for all others.
BY_OUTPUT_16 = ("relu", "leaky_relu", "relu6")
BY_OUTPUT = (*BY_OUTPUT_16, "elu", "sigmoid", "tanh")


def by_output(activation: str | None, dtype: torch.dtype) -> bool:
    """Whether a backward pass with residual needs y; otherwise it needs the residual."""
    narrow = dtype in (torch.float16, torch.bfloat16)
    return activation in (BY_OUTPUT_16 if narrow else BY_OUTPUT)


def backward(
    dy: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Dx [N, C, *], dweight [C], dbias [C]."""
    plan = plan_of(Call.of(x), library.parameter_dtype(x, weight), eps, None)
    low = torch.zeros_like(mean)
    statistics = torch.stack([mean, mean, rstd, low, low])
    wanted = True, True, True, False
    dx, dweight, dbias, _ = run(
        plan, dy, x, None, None, plan.suited(weight), None, statistics, wanted
    )
    return dx, dweight, dbias  # type: ignore[return-value]  # wanted, so present


def run(
    plan: Plan,
    dy: Tensor,
    x: Tensor,
    y: Tensor | None,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    statistics: Tensor,
    wanted: Sequence[bool],
    frozen: bool = False,
) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
    """Dx, dweight, dbias, dresidual; None where not wanted.

    ``statistics`` [5, C] as the forward pass left them (frozen: mean, nothing, rstd alone).
    """
    if dy.stride() != x.stride():
        dy = library.alike(dy, x)
    empty = library.empty_like if plan.large else torch.empty_like
    dx = empty(x) if wanted[0] else None
    dweight = _vector(plan, weight) if wanted[1] else None
    dbias = _vector(plan, bias) if wanted[2] else None
    dresidual = empty(x) if wanted[3] and plan.activation else None
    room = torch.empty(plan.room, dtype=torch.uint8) if plan.room else None
    outputs = dx, dresidual, dweight, dbias
    given = packed(plan, dy, x, y, residual, weight, bias, statistics, outputs, room, frozen)
    status = library.native().backward(given)
    if status:
        library.refused(status)
    return dx, dweight, dbias, dy if wanted[3] and not plan.activation else dresidual


def _vector(plan: Plan, like: Tensor | None) -> Tensor:
    """A new vector; like one that is there, which torch makes in half the time."""
    if like is None:
        return torch.empty(plan.vector, dtype=plan.parameters)
    return torch.empty_like(like)


def packed(
    plan: Plan,
    dy: Tensor,
    x: Tensor,
    y: Tensor | None,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    statistics: Tensor,
    outputs: tuple[Tensor | None, ...],
    room: Tensor | None,
    frozen: bool,
) -> bytes:
    """The header's struct for a call into ``outputs``: dx, dresidual, dweight, dbias."""
    at, step = statistics.data_ptr(), plan.step
    dx, dresidual, dweight, dbias = outputs
    return library.BACKWARD.pack(
        *plan.head,
        library.threads(),
        0 if room is None else room.data_ptr(),
        plan.room,
        frozen,
        dy.data_ptr(),
        x.data_ptr(),
        0 if y is None else y.data_ptr(),
        0 if residual is None else residual.data_ptr(),
        0 if weight is None else weight.data_ptr(),
        0 if bias is None else bias.data_ptr(),
        at,
        at + RSTD * step,
        0 if frozen else at + MEAN_LOW * step,
        0 if dx is None else dx.data_ptr(),
        0 if dresidual is None else dresidual.data_ptr(),
        0 if dweight is None else dweight.data_ptr(),
        0 if dbias is None else dbias.data_ptr(),
    )
