"""Sums that keep their accuracy, whatever axes memory joins."""

import itertools

import pytest
import torch

from evenkeel.kernels.moments.eager import moments, summed
from oracles.compare import assert_close
from oracles.strategies import values


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_summed_is_the_sum_in_every_order_of_memory(order: tuple[int, ...]) -> None:
    x = values((40, 5, 6, 7), 1.0, 0).permute(order).contiguous()
    x = x.permute([order.index(axis) for axis in range(4)])
    for axes in ((0,), (0, 2), (1, 3), (0, 1, 2, 3)):
        got = summed(x.float(), axes)
        assert_close(got, x.sum(axes, keepdim=True), 1e-6, f"{axes}", dtype=torch.float32)


def test_a_million_equal_values_sum_without_drift() -> None:
    """torch's sum over all three axes at once is off by 1e-5 here, one float32 after the other."""
    x = torch.full((100_000, 4, 3, 2), 0.1)
    got = summed(x, (0, 1, 3))
    assert_close(got, x.double().sum((0, 1, 3), keepdim=True), 1e-6, "sum", dtype=torch.float32)


def test_the_rounding_of_the_mean_is_taken_off() -> None:
    """Two values one float32 apart: their mean is no float32, their variance is exact all the same."""
    x = torch.tensor([[2.0**24], [2.0**24 + 2]])
    mean, var = moments(x, (0,))
    assert var.item() == 1.0
    assert mean.item() in (2.0**24, 2.0**24 + 2)
