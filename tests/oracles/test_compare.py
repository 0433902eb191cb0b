"""The comparison that every other test relies on: right answers pass, every named fault is seen."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from oracles.compare import assert_close, max_error
from oracles.definitions import Given, Step, step
from oracles.mutants import MUTANTS
from oracles.strategies import values

BUDGET = 1e-5
WANT = torch.tensor([[1.0, -4.0], [0.5, 2.0]])


def given(distance: float) -> Given:
    """A training step with as many samples as channels, where a wrong axis has the right shape."""
    x, dy = values((3, 3, 4, 4), distance, 0).float(), values((3, 3, 4, 4), 0.0, 1).float()
    weight, bias = torch.tensor([0.5, 1.0, 2.0]), torch.tensor([-1.0, 0.25, 3.0])
    mean, var = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([2.0, 0.5, 1.5])
    return Given(x, weight, bias, dy, mean, var, 0.1, 1e-3)


@pytest.mark.parametrize("name", MUTANTS)
def test_every_named_fault_is_rejected(name: str) -> None:
    array, mutant = MUTANTS[name]
    case = given(1e4 if name == "variance_about_zero_in_float32" else 1.0)
    right, wrong = step(case), mutant(case)
    with pytest.raises(AssertionError, match=f"{array}: error"):
        assert_close(getattr(wrong, array), getattr(right, array), BUDGET, array)


@pytest.mark.parametrize("array", Step._fields)
def test_the_same_step_rounded_to_float32_passes(array: str) -> None:
    right: Tensor = getattr(step(given(1.0)), array)
    assert_close(right.float(), right, BUDGET, array, dtype=torch.float32)


FAULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "nan": lambda t: t.where(t != 0.5, math.nan),
    "infinity": lambda t: t.where(t != 0.5, math.inf),
    "all nan": lambda t: t * math.nan,
    "transposed": lambda t: t.t(),
    "missing a row": lambda t: t[:1],
    "an axis more": lambda t: t[None],
    "float64": lambda t: t.double(),
    "float16": lambda t: t.half(),
    "the other sign": lambda t: -t,
    "one value a little off": lambda t: t.where(t != 0.5, 0.5001),
    "shifted": lambda t: t + 1e-3,
    "scaled": lambda t: t * (1 + 1e-4),
    "zero": torch.zeros_like,
    "empty": lambda t: t[:0],
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_faulty_array_is_rejected(name: str) -> None:
    with pytest.raises(AssertionError, match=r"^y: "):
        assert_close(FAULTS[name](WANT), WANT, BUDGET, "y")


def test_the_error_is_relative_to_the_largest_reference() -> None:
    assert max_error(WANT + 0.004, WANT) == pytest.approx(1e-3, rel=1e-3)
    assert max_error(WANT, WANT) == 0.0


def test_the_budget_itself_passes_and_more_does_not() -> None:
    assert_close(torch.tensor([1.25]), torch.tensor([1.0]), 0.25, "y")
    with pytest.raises(AssertionError, match=r"y: error 2.5e-01 exceeds 2.4e-01"):
        assert_close(torch.tensor([1.25]), torch.tensor([1.0]), 0.24, "y")


def test_non_finite_values_must_be_the_same() -> None:
    want = torch.tensor([math.nan, math.inf, -math.inf, 1.0])
    assert max_error(want.clone(), want) == 0.0
    for got in ([math.nan, -math.inf, -math.inf, 1.0], [0.0, math.inf, -math.inf, 1.0]):
        with pytest.raises(AssertionError):
            max_error(torch.tensor(got), want)


def test_a_reference_that_is_all_nan_still_compares() -> None:
    nan = torch.tensor([math.nan])
    assert max_error(nan, nan) == 0.0
    with pytest.raises(AssertionError):
        max_error(torch.zeros(1), nan)


def test_a_zero_reference_allows_zero_alone() -> None:
    zero = torch.zeros(3)
    assert max_error(zero, zero) == 0.0
    assert max_error(zero + 1e-30, zero) == math.inf
    assert max_error(zero + 1e-3, zero, scale=10.0) == pytest.approx(1e-4)


def test_arrays_of_numpy_and_gradients_are_welcome() -> None:
    assert max_error(WANT.numpy(), WANT) == 0.0
    assert max_error(WANT.clone().requires_grad_(), np.asarray(WANT)) == 0.0


def test_a_dtype_that_was_asked_for_is_checked() -> None:
    assert max_error(WANT, WANT.double(), dtype=torch.float32) == 0.0
    with pytest.raises(AssertionError, match="dtype"):
        max_error(WANT.double(), WANT.double(), dtype=torch.float32)


def test_an_empty_pair_is_no_comparison() -> None:
    with pytest.raises(AssertionError, match="nothing to compare"):
        max_error(torch.zeros(0), torch.zeros(0))
