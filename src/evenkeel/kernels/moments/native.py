"""Moments in one native call."""

import torch
from torch import Tensor

from evenkeel.kernels import library
from evenkeel.kernels.plan import Plan, plan_of
from evenkeel.kernels.table import Call
from evenkeel.views import other_axes


def moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over ``axes``, kept as axes of size 1.

    The kept axes lie side by side in memory (``refuses`` saw to it).
    """
    kept = other_axes(axes, x.ndim)
    plan = plan_of(Call.of(x, kept), x.dtype, 0.0, None)
    shape = [size if axis in kept else 1 for axis, size in enumerate(x.shape)]
    mean, var = forward(plan, x)
    return mean.view(shape), var.view(shape)


def forward(plan: Plan, x: Tensor) -> Tensor:
    """Mean and biased variance of each channel, [2, C]."""
    rows = torch.empty(2, plan.head[1], dtype=plan.statistics)
    room = torch.empty(plan.room, dtype=torch.uint8) if plan.room else None
    at = rows.data_ptr()
    status = library.native().moments(
        library.MOMENTS.pack(
            *plan.head,
            library.threads(),
            0 if room is None else room.data_ptr(),
            plan.room,
            x.data_ptr(),
            at,
            at + plan.step,
        )
    )
    if status:
        library.refused(status)
    return rows
