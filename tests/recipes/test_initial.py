"""Initial weights: bounds and deviations, by closed form and against TensorFlow's own draws."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from evenkeel.recipes.initial import glorot_uniform, normal, truncated_normal, uniform_unit_scaling

# deviation of a normal distribution cut at two deviations, from its density at the cut
CUT = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(5)


def test_glorot_uniform() -> None:
    weight = glorot_uniform(torch.empty(40, 30, 3, 3))
    bound = math.sqrt(6 / (9 * 40 + 9 * 30))
    assert float(weight.abs().max()) == pytest.approx(bound, rel=0.01)
    assert float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.03)


def test_uniform_unit_scaling() -> None:
    weight = uniform_unit_scaling(torch.empty(64, 32, 3, 3))
    bound = math.sqrt(3 / (9 * 32))
    assert float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(1 / math.sqrt(9 * 32), rel=0.03)


@pytest.mark.parametrize("stddev", [0.02, 0.1, 1.0])
def test_truncated_normal(stddev: float) -> None:
    weight = truncated_normal(stddev)(torch.empty(200, 200))
    assert 1.9 * stddev < float(weight.abs().max()) <= 2 * stddev
    assert float(weight.std()) == pytest.approx(CUT * stddev, rel=0.02)


def test_normal() -> None:
    weight = normal(0.1)(torch.empty(200, 200))
    assert float(weight.std()) == pytest.approx(0.1, rel=0.02)
    assert float(weight.abs().max()) > 0.3


def test_tensorflow_draws_from_the_same(oracle: Callable[[str], np.ndarray[Any, Any]]) -> None:
    kernel, cut = oracle("init/layers/d1.kernel"), oracle("init/layers/tn")
    bound = float(glorot_uniform(torch.empty(8, 20, 100, 1)[..., :1, :]).abs().max())
    assert np.abs(kernel).max() <= math.sqrt(6 / 28) <= 1.1 * np.abs(kernel).max()
    assert bound <= math.sqrt(6 / 28)
    assert np.abs(cut).max() <= 0.1
    assert cut.std() == pytest.approx(CUT * 0.05, rel=0.25)
