"""Training forward in one native call: statistics, normalization, residual, activation, running."""

import ctypes
import threading
from typing import NamedTuple

import torch
from torch import Tensor

from evenkeel.kernels import library
from evenkeel.kernels.plan import Plan, plan_of
from evenkeel.kernels.table import Call

# Rows of the tensor that holds a batch's statistics; the last two are what rounding mean and rstd to
# float32 left over, so that a backward pass far from zero is as exact as one at zero.
MEAN, VAR, RSTD, MEAN_LOW, RSTD_LOW = range(5)


class Moved(NamedTuple):
    """Running statistics [C] that training moves in place, unless the batch is not finite.

    ``batches``: an int64 scalar that counts the batches that moved them.
    """

    mean: Tensor
    var: Tensor
    momentum: float
    unbiased: bool
    batches: Tensor | None = None


# Statistics [5, C] of the batch, and whether all of them are finite.
Trained = tuple[Tensor, bool]


class _Finite(threading.local):
    def __init__(self) -> None:
        self.flag = ctypes.c_int32()
        self.address = ctypes.addressof(self.flag)


_finite = _Finite()
NOTHING = (None, None, 0.0, False, None)


def train(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Y [N, C, *], batch mean [C], biased batch variance [C]."""
    plan = plan_of(Call.of(x), library.parameter_dtype(x, weight, bias), eps, None)
    vectors = plan.suited(weight), plan.suited(bias)
    y, (statistics, _) = forward(plan, x, *vectors, None, None)
    return y, statistics[MEAN], statistics[VAR]


def forward(
    plan: Plan,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    moved: Moved | None,
) -> tuple[Tensor, Trained]:
    """activation(normalized x + residual) in the layout of x, and the statistics of x.

    Vectors fit the plan; residual lies as x does.
    """
    y = library.empty_like(x) if plan.large else torch.empty_like(x)
    statistics = torch.empty(5, plan.head[1], dtype=plan.statistics)
    room = torch.empty(plan.room, dtype=torch.uint8) if plan.room else None
    given = packed(plan, x, weight, bias, residual, moved, y, statistics, room, _finite.address)
    status = library.native().train(given)
    if status:
        library.refused(status)
    return y, (statistics, _finite.flag.value != 0)


def packed(
    plan: Plan,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    moved: Moved | None,
    y: Tensor,
    statistics: Tensor,
    room: Tensor | None,
    finite: int,
) -> bytes:
    """The header's struct for a call into these buffers; ``finite``: the address of the flag."""
    at, step = statistics.data_ptr(), plan.step
    mean, var, momentum, unbiased, batches = moved or NOTHING
    return library.TRAIN.pack(
        *plan.head,
        library.threads(),
        0 if room is None else room.data_ptr(),
        plan.room,
        plan.eps,
        x.data_ptr(),
        0 if residual is None else residual.data_ptr(),
        0 if weight is None else weight.data_ptr(),
        0 if bias is None else bias.data_ptr(),
        y.data_ptr(),
        at,
        at + VAR * step,
        at + RSTD * step,
        at + MEAN_LOW * step,
        0 if mean is None else mean.data_ptr(),
        0 if var is None else var.data_ptr(),
        momentum,
        unbiased,
        finite,
        0 if batches is None else batches.data_ptr(),
    )
