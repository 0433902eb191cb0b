"""How large an error may be: the docstrings' bounds, as numbers for one case, per array.

Inner results are float32 and cost u = 4·2⁻²⁴; float64 is summed in float64, and costs 32·2⁻⁵³. Numbers
far from zero cost κ = |mean|/√(var + eps) more: a mean in float32 is off by 2⁻²⁴·|mean|, which is
2⁻²⁴·κ after normalization. The result is rounded to the dtype of x at last, some of it twice.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from oracles.definitions import Axes, channels_last, moments

UNIT = {
    torch.float16: 2.0**-11,
    torch.bfloat16: 2.0**-8,
    torch.float32: 2.0**-24,
    torch.float64: 2.0**-53,
}


class Budgets(NamedTuple):
    """Absolute errors allowed in y, dx, dweight and dbias."""

    y: float
    dx: float
    dweight: float
    dbias: float


def unit(dtype: torch.dtype) -> float:
    """The error of statistics and inner results, relative to their size."""
    return 32 * UNIT[torch.float64] if dtype == torch.float64 else 4 * UNIT[torch.float32]


def of(
    x: Tensor,
    dy: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    channel_axis: Axes,
) -> Budgets:
    """The budgets of training batch normalization for this input."""
    rows = channels_last(x.detach(), channel_axis)
    up = channels_last(dy.detach(), channel_axis).abs()
    mean, var = moments(rows)
    rstd = (var + eps).rsqrt()
    size = ((rows - mean) * rstd).abs() + mean.abs() * rstd + 1
    gamma = torch.ones_like(mean) if weight is None else weight.detach().double().flatten().abs()
    beta = torch.zeros_like(mean) if bias is None else bias.detach().double().flatten().abs()
    u, out = unit(x.dtype), 2 * UNIT[x.dtype]
    y = gamma * size + beta
    dx = gamma * rstd * (up + up.mean(0) + size * (up * size).mean(0))
    return Budgets(
        y=float(((u + out) * y).max()),
        dx=float(((u + out) * dx).max()),
        dweight=float((u * (up * size).sum(0)).max()),
        dbias=float((u * up.sum(0)).max()),
    )
