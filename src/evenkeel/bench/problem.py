"""One measured problem: the arrays of a case under an operation, the same for every side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from evenkeel.bench.cases import Case
from evenkeel.bench.operations import OPERATIONS, Operation

EPS, MOMENTUM = 1e-5, 0.1
# Where the sum before the ReLU is this close to 0, rounding decides its sign, and with it whether
# the gradient passes: such places get no gradient, so that every side has one right answer.
MARGINS = {torch.float32: 1e-4, torch.bfloat16: 5e-2}


@dataclass(frozen=True, slots=True)
class Problem:
    """The arrays; vectors are float32 [C], the others as the case says.

    ``mean`` and ``var`` are the running statistics before the call; ``dy`` the gradient of the output.
    """

    case: Case
    operation: Operation
    x: Tensor
    residual: Tensor | None
    weight: Tensor
    bias: Tensor
    mean: Tensor
    var: Tensor
    dy: Tensor


def problem_of(
    case: Case, operation: Operation, dtype: torch.dtype, *, offset: float = 0.5
) -> Problem:
    """The problem, the same on every call; ``offset`` is about |mean|/std of each channel."""
    drawn = draws(case, dtype, offset)
    problem = drawn if operation.residual else replace(drawn, residual=None)
    problem = replace(problem, operation=operation)
    if not (operation.training and operation.activation):
        return problem
    near = before_activation(problem, torch.float32).abs() < MARGINS[dtype]
    dy = problem.dy.clone().masked_fill_(near, 0.0)  # masked_fill alone may lay it out otherwise
    return replace(problem, dy=dy)


@lru_cache(maxsize=1)  # the operations of a case come one after the other
def draws(case: Case, dtype: torch.dtype, offset: float) -> Problem:
    """The arrays of a case before an operation is chosen. No side writes into them."""
    draw = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    channels = case.shape[1]
    centre = offset * (1 + 0.1 * normal(channels)).view(_across(case.shape))
    x = case.laid_out((normal(*case.shape) + centre).to(dtype))
    residual = case.laid_out(normal(*case.shape).to(dtype))
    # In inference |weight|/√var < 1: a pass that works in place and is repeated stays finite.
    weight, var = 0.5 + torch.rand(channels, generator=draw) / 4, 1 + normal(channels).abs()
    bias, mean = 0.2 * normal(channels), offset + 0.1 * normal(channels)
    dy = case.laid_out(normal(*case.shape).to(dtype))
    return Problem(case, OPERATIONS["bn_add_relu"], x, residual, weight, bias, mean, var, dy)


def before_activation(problem: Problem, dtype: torch.dtype = torch.float64) -> Tensor:
    """The normalized, scaled and shifted input plus the residual, by definition."""
    x, shape = problem.x.to(dtype), _across(problem.x.shape)
    mean, var = batch_statistics(x) if problem.operation.training else (problem.mean, problem.var)
    rstd = (var.to(dtype).view(shape) + EPS).rsqrt()
    z = (x - mean.to(dtype).view(shape)) * rstd
    z = z * problem.weight.to(dtype).view(shape) + problem.bias.to(dtype).view(shape)
    return z if problem.residual is None else z + problem.residual.to(dtype)


def batch_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over all axes but the second."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    mean = x.mean(axes, keepdim=True)
    return mean.flatten(), (x - mean).square().mean(axes)


def _across(shape: Sequence[int]) -> list[int]:
    return [1, -1, *[1] * (len(shape) - 2)]
