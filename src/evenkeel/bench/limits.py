"""What the machine can do with tensors of this size: a plain copy, one multiply-add in place."""

import time

import torch
from torch import Tensor

from evenkeel.bench.problem import Problem
from evenkeel.bench.sides import Lap


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
