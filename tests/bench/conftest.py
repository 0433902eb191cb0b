"""Small problems, and a rival that is told what to give."""

from collections.abc import Callable
from math import nan

import pytest
import torch
from torch import Tensor

from evenkeel.bench.cases import CASES
from evenkeel.bench.operations import OPERATIONS
from evenkeel.bench.options import Options
from evenkeel.bench.oracle import reference
from evenkeel.bench.problem import Problem, problem_of
from evenkeel.bench.rivals import Rival
from evenkeel.bench.sides import Lap


@pytest.fixture
def problem() -> Problem:
    return problem_of(CASES["conv20-64x36x4x4-nhwc"], OPERATIONS["bn_relu"], torch.float32)


@pytest.fixture
def quick() -> Options:
    return Options(threads=1, quick=True, rivals="torch", seconds=1e-4)


class Told:
    """Gives the reference, changed by a function; every step takes 1 s on its own clock."""

    def __init__(self, problem: Problem, change: Callable[[Tensor], Tensor]) -> None:
        self._problem, self._change = problem, change

    def lap(self) -> Lap:
        return Lap(1.0, nan, nan)

    def arrays(self) -> dict[str, Tensor]:
        return {name: self._change(value) for name, value in reference(self._problem).items()}


@pytest.fixture
def rival() -> Callable[[Callable[[Tensor], Tensor]], Rival]:
    def make(change: Callable[[Tensor], Tensor]) -> Rival:
        return Rival("told", lambda problem: Told(problem, change), lambda: "")

    return make
