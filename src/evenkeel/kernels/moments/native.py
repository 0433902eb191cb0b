"""Moments in one native call."""

import torch
from torch import Tensor

from evenkeel.kernels import library
from evenkeel.views import NO_VIEW, other_axes, statistics_dtype, view_of


def moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over ``axes``, kept as axes of size 1.

    The kept axes lie side by side in memory (``refuses`` saw to it).
    """
    kept = other_axes(axes, x.ndim)
    view = view_of(x, kept) or NO_VIEW
    shape = [size if axis in kept else 1 for axis, size in enumerate(x.shape)]
    mean, var = (torch.empty(shape, dtype=statistics_dtype(x)) for _ in range(2))
    _room, room, room_bytes = library.workspace(view, x.dtype)
    status = library.native().moments(
        library.MOMENTS.pack(
            *view,
            library.DTYPES[x.dtype],
            library.DTYPES[x.dtype],
            0,
            library.threads(),
            room,
            room_bytes,
            x.data_ptr(),
            mean.data_ptr(),
            var.data_ptr(),
        )
    )
    library.check(status)
    return mean, var
