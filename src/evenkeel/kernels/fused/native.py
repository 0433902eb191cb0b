"""Training forward in one native call: statistics, normalization, residual, activation, running."""

import ctypes
import threading
from typing import NamedTuple

from torch import Tensor

from evenkeel.kernels import library
from evenkeel.views import NO_VIEW, View, statistics_dtype, view_of

# Rows of the tensor that holds a batch's statistics; the last two are what rounding mean and rstd to
# float32 left over, so that a backward pass far from zero is as exact as one at zero.
MEAN, VAR, RSTD, MEAN_LOW, RSTD_LOW = range(5)


class Moved(NamedTuple):
    """Running statistics [C] that training moves in place, unless the batch is not finite."""

    mean: Tensor
    var: Tensor
    momentum: float
    unbiased: bool


class Trained(NamedTuple):
    """Statistics [5, C] of the batch, and whether all of them are finite."""

    statistics: Tensor
    finite: bool


class _Finite(threading.local):
    def __init__(self) -> None:
        self.flag = ctypes.c_int32()
        self.address = ctypes.addressof(self.flag)


_finite = _Finite()
NOTHING = (None, None, 0.0, False)


def can_move(x: Tensor, weight: Tensor | None, bias: Tensor | None, moved: Moved) -> bool:
    """Whether the running statistics go over as they lie: in the dtype of the parameters."""
    own = library.parameter_dtype(x, weight, bias)
    mean, var = moved.mean, moved.var
    right = mean.dtype is own and var.dtype is own and mean.is_cpu and var.is_cpu
    return right and mean.is_contiguous() and var.is_contiguous()


def train(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Y [N, C, *], batch mean [C], biased batch variance [C]."""
    view = view_of(x, 1)
    y, (statistics, _) = forward(x, view or NO_VIEW, weight, bias, eps, None, None, None)
    return y, statistics[MEAN], statistics[VAR]


def forward(
    x: Tensor,
    view: View,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    residual: Tensor | None,
    activation: str | None,
    moved: Moved | None,
) -> tuple[Tensor, Trained]:
    """activation(normalized x + residual) in the layout of x, and the statistics of x."""
    y = library.empty_like(x)
    channels = view.channels
    statistics = x.new_empty((5, channels), dtype=statistics_dtype(x))
    parameters = library.parameter_dtype(x, weight, bias)
    residual = library.alike(residual, x)
    _room, room, room_bytes = library.workspace(view, x.dtype)
    at, step = statistics.data_ptr(), channels * statistics.element_size()
    mean, var, momentum, unbiased = moved or NOTHING
    vectors = [library.vector(v, channels, parameters) for v in (weight, bias, mean, var)]
    weight, bias, mean, var = vectors  # held here while the library looks at them
    status = library.native().train(
        library.TRAIN.pack(
            *view,
            library.DTYPES[x.dtype],
            library.DTYPES[parameters],
            library.ACTIVATIONS[activation],
            library.threads(),
            room,
            room_bytes,
            eps,
            x.data_ptr(),
            library.address(residual),
            library.address(weight),
            library.address(bias),
            y.data_ptr(),
            at,
            at + VAR * step,
            at + RSTD * step,
            at + MEAN_LOW * step,
            library.address(mean),
            library.address(var),
            momentum,
            unbiased,
            _finite.address,
        )
    )
    library.check(status)
    return y, Trained(statistics, _finite.flag.value != 0)
