"""What the machine can do with tensors of this size: copy, multiply-add, a call that does nothing."""

import time
from typing import Any

import torch
from torch import Tensor, nn

from evenkeel.bench.problem import Problem
from evenkeel.bench.sides import Inference, Lap, Training, load


class Copy:
    """One read and one write of x, the target already there; its bandwidth is the machine's."""

    def __init__(self, problem: Problem) -> None:
        self._x, self._y = problem.x, problem.x.clone()

    def lap(self) -> Lap:
        """One copy."""
        start = time.perf_counter()
        self._y.copy_(self._x)
        end = time.perf_counter()
        return Lap(end - start)

    def arrays(self) -> dict[str, Tensor]:
        """The copy."""
        return {"y": self._y}


class MultiplyAdd:
    """x ← 1 + x/2 in one pass over x, by torch's vectorized addition."""

    def __init__(self, problem: Problem) -> None:
        self._x = problem.x.clone()
        self._one = torch.tensor(1.0, dtype=problem.x.dtype)

    def lap(self) -> Lap:
        """One pass."""
        start = time.perf_counter()
        torch.add(self._one, self._x, alpha=0.5, out=self._x)
        end = time.perf_counter()
        return Lap(end - start)

    def arrays(self) -> dict[str, Tensor]:
        """The result."""
        return {"y": self._x}


class Nothing(torch.autograd.Function):
    """Outputs and gradients of the right shapes, allocated and never written."""

    @staticmethod
    def forward(ctx: Any, *given: Tensor | None) -> Tensor:
        """One array like the first."""
        ctx.save_for_backward(*given)
        return torch.empty_like(given[0])  # type: ignore[arg-type]  # x is always given

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, ...]:
        """One array like each."""
        return (*(None if v is None else torch.empty_like(v) for v in ctx.saved_tensors),)


class NothingLayer(nn.Module):
    """A layer with the parameters of batch normalization that computes nothing."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty_like(problem.weight))
        self.bias = nn.Parameter(torch.empty_like(problem.bias))
        load(self, problem)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Memory like x."""
        return Nothing.apply(x, self.weight, self.bias, residual)  # type: ignore[no-any-return, no-untyped-call]


def empty_call(problem: Problem) -> Training | Inference:
    """What Python, autograd and the allocation take before a kernel has done anything."""
    if problem.operation.training:
        layer = NothingLayer(problem)
        return Training(problem, layer, layer)
    made = (lambda x, _: x) if problem.operation.in_place else lambda x, _: torch.empty_like(x)
    return Inference(problem, None, made)
