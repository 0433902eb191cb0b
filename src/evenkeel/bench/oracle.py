"""The float64 definition of every measured operation, and how far a side's arrays are from it."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from evenkeel.bench.problem import EPS, MOMENTUM, Problem, batch_statistics, before_activation

Arrays = Mapping[str, Tensor]

# A side is refused above this. Seen on a few rows: 4e-6 (float32). bfloat16 has 8 bits, and a
# side may round to it after each of three steps: 3·2⁻⁸ = 1.2e-2.
BUDGETS = {torch.float32: 1e-4, torch.bfloat16: 3e-2}

# Values that are checked in a problem, and the fewest channels of it.
CHECKED, FEWEST = 1 << 20, 4


def reference(problem: Problem) -> dict[str, Tensor]:
    """Everything the operation gives, in float64 from the definition.

    Math:    z = weight · (x − m)·rstd + bias + residual, y = max(z, 0) or z; g = dy where z > 0;
             x̂ = (x − m)·rstd, dbias = Σ g, dweight = Σ g·x̂,
             dx = weight·rstd · (g − dbias/n − x̂·dweight/n)
    Source:  Ioffe & Szegedy 2015, section 3, gradients solved for dx
    """
    z = before_activation(problem)
    y = z.clamp_min(0.0) if problem.operation.activation else z
    if not problem.operation.training:
        return {"y": y}
    return {"y": y} | _gradients(problem, z) | _running(problem)


def _gradients(problem: Problem, z: Tensor) -> dict[str, Tensor]:
    x, g = problem.x.double(), problem.dy.double()
    if problem.operation.activation:
        g = g * (z > 0)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    count = x.numel() / x.shape[1]
    mean, var = batch_statistics(x)
    rstd = (var + EPS).rsqrt()
    normalized = (x - mean.view(shape)) * rstd.view(shape)
    dbias, dweight = g.sum(axes), (g * normalized).sum(axes)
    inner = g - (dbias / count).view(shape) - normalized * (dweight / count).view(shape)
    dx = inner * (problem.weight.double() * rstd).view(shape)
    found = {"dx": dx, "dweight": dweight, "dbias": dbias}
    return found if problem.residual is None else found | {"dresidual": g}


def _running(problem: Problem) -> dict[str, Tensor]:
    x = problem.x.double()
    mean, var = batch_statistics(x)
    count = x.numel() / x.shape[1]
    unbiased = var * count / (count - 1)
    return {
        "running_mean": (1 - MOMENTUM) * problem.mean.double() + MOMENTUM * mean,
        "running_var": (1 - MOMENTUM) * problem.var.double() + MOMENTUM * unbiased,
    }


def watched(problem: Problem) -> Tensor:
    """The channels that are checked: all of a small problem, else the first, the last and some between.

    A float64 definition of every channel takes longer than the timing of a large row.

    >>> from evenkeel.bench.cases import CASES
    >>> from evenkeel.bench.operations import OPERATIONS
    >>> from evenkeel.bench.problem import problem_of
    >>> case = CASES["resnet50-32x64x56x56-nchw"]
    >>> watched(problem_of(case, OPERATIONS["bn"], torch.float32))
    tensor([ 0,  7, 14, 21, 28, 35, 42, 49, 56, 63])
    """
    channels = problem.x.shape[1]
    number = min(channels, max(FEWEST, CHECKED * channels // problem.x.numel()))
    return torch.linspace(0, channels - 1, number).round().long()


def part_of(problem: Problem, channels: Tensor) -> Problem:
    """The problem of these channels alone: batch normalization knows no others."""
    names = ("x", "residual", "weight", "bias", "mean", "var", "dy")
    arrays = {name: getattr(problem, name) for name in names}
    return replace(problem, **_of_channels(arrays, channels))


def check(problem: Problem, arrays: Arrays, want: Arrays, channels: Tensor) -> dict[str, float]:
    """The error of each array that a side gives, in the watched channels."""
    for name, array in arrays.items():
        if array.shape not in (problem.x.shape, problem.weight.shape):
            return {name: math.inf}
    return errors_of(_of_channels(arrays, channels), want)


def error(got: Tensor, want: Tensor) -> float:
    """Largest absolute difference over the largest absolute reference; infinite for NaN or a shape.

    >>> error(torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0]))
    0.25
    >>> error(torch.tensor([float("nan")]), torch.tensor([1.0]))
    inf
    """
    if got.shape != want.shape:
        return math.inf
    difference = float((got.detach().double() - want).abs().max())
    size = float(want.abs().max())
    if not math.isfinite(difference) or (size == 0 and difference > 0):
        return math.inf
    return difference / size if size else 0.0


def errors_of(arrays: Arrays, want: Arrays) -> dict[str, float]:
    """The error of each array that a side gives."""
    return {name: error(array, want[name]) for name, array in arrays.items()}


def mismatch(errors: Mapping[str, float], dtype: torch.dtype, budget: float | None = None) -> str:
    """Why these errors forbid timing; "" when they do not.

    >>> mismatch({"y": 1e-7, "dx": 0.1}, torch.float32)
    'dx differs from the float64 definition by 1.0e-01, more than 1.0e-04'
    """
    limit = BUDGETS[dtype] if budget is None else budget
    if "y" not in errors:
        return "it gives no output"
    for name, value in errors.items():
        if not value <= limit:
            return (
                f"{name} differs from the float64 definition by {value:.1e}, more than {limit:.1e}"
            )
    return ""


def _of_channels(arrays: Mapping[str, Tensor | None], channels: Tensor) -> dict[str, Any]:
    """Channels are the second axis of tensors, and the only one of vectors."""
    return {
        name: None
        if array is None
        else array.detach().index_select(min(array.ndim - 1, 1), channels)
        for name, array in arrays.items()
    }
