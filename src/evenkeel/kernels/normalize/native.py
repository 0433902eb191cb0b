"""Normalization by given statistics in one native call, with residual and activation, also in place."""

import torch
from torch import Tensor

from evenkeel.kernels import library
from evenkeel.kernels.plan import Plan, plan_of
from evenkeel.kernels.table import Call


def normalize(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """X [N, C, *], all vectors [C]; y in the dtype of x."""
    plan = plan_of(Call.of(x), library.parameter_dtype(x, weight, bias, mean, var), eps, None)
    vectors = plan.suited(weight), plan.suited(bias)
    return forward(plan, x, plan.surely(mean), plan.surely(var), *vectors, None)


def forward(
    plan: Plan,
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    *,
    out: Tensor | None = None,
    saved: Tensor | None = None,
) -> Tensor:
    """activation(normalized x + residual) in the layout of x, or in ``out``, which may be x.

    Vectors fit the plan; residual and out lie as x does. ``saved`` [5, C] takes mean and rstd (rows 0
    and 2) for a backward pass.
    """
    empty = library.empty_like if plan.large else torch.empty_like
    y = empty(x) if out is None else out
    room = torch.empty(plan.room, dtype=torch.uint8) if plan.room else None
    at = 0 if saved is None else saved.data_ptr()
    status = library.native().normalize(
        library.NORMALIZE.pack(
            *plan.head,
            library.threads(),
            0 if room is None else room.data_ptr(),
            plan.room,
            plan.eps,
            x.data_ptr(),
            0 if residual is None else residual.data_ptr(),
            0 if weight is None else weight.data_ptr(),
            0 if bias is None else bias.data_ptr(),
            mean.data_ptr(),
            var.data_ptr(),
            y.data_ptr(),
            at,
            at and at + 2 * plan.step,
        )
    )
    if status:
        library.refused(status)
    return y
