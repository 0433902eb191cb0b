"""Moments in one native call."""

import torch
from torch import Tensor

from evenkeel.kernels import library
from evenkeel.kernels.plan import plan_of
from evenkeel.kernels.table import Call
from evenkeel.views import other_axes


def moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over ``axes``, kept as axes of size 1.

    The kept axes lie side by side in memory (``refuses`` saw to it).
    """
    kept = other_axes(axes, x.ndim)
    plan = plan_of(Call.of(x, kept), x.dtype, 0.0, None)
    shape = [size if axis in kept else 1 for axis, size in enumerate(x.shape)]
    mean, var = (torch.empty(shape, dtype=plan.statistics) for _ in range(2))
    room = torch.empty(plan.room, dtype=torch.uint8) if plan.room else None
    status = library.native().moments(
        library.MOMENTS.pack(
            *plan.head,
            library.threads(),
            0 if room is None else room.data_ptr(),
            plan.room,
            x.data_ptr(),
            mean.data_ptr(),
            var.data_ptr(),
        )
    )
    if status:
        library.refused(status)
    return mean, var
