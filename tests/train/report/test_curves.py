"""Smoothing against closed forms; thinning and spreading against what they promise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.train.report.curves import floats, smoothed, smoothing_window, spread, thin

HEIGHTS = st.lists(st.floats(0, 1), min_size=1, max_size=6)
VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=0, max_size=300)


def test_the_mean_of_a_straight_line_lags_by_half_the_window() -> None:
    means = smoothed(np.arange(50.0), 9)
    np.testing.assert_array_equal(means[8:], np.arange(8.0, 50.0) - 4)
    np.testing.assert_array_equal(means[:8], np.arange(8.0) / 2)


def test_what_is_not_finite_is_left_out_and_alone_stays_unknown() -> None:
    means = smoothed(floats([math.nan, 1.0, math.inf, 3.0, math.nan, math.nan]), 2)
    np.testing.assert_array_equal(means, [math.nan, 1.0, 1.0, 3.0, 3.0, math.nan])


def test_a_short_history_is_hardly_smoothed() -> None:
    assert [smoothing_window(rows) for rows in (0, 1, 79, 80, 800)] == [1, 1, 1, 2, 20]


@given(VALUES, st.integers(1, 20))
def test_thinning_keeps_ends_and_extremes_in_order(values: list[float], columns: int) -> None:
    given_values = floats(values)
    kept = thin(given_values, columns)
    assert kept == sorted(set(kept))
    if len(values) <= 4 * columns:
        assert kept == list(range(len(values)))
        return
    assert len(kept) <= 4 * columns
    assert (kept[0], kept[-1]) == (0, len(values) - 1)
    for group in np.array_split(np.arange(len(values)), columns):
        inside = given_values[group][np.isfinite(given_values[group])].tolist()
        shown = [values[index] for index in kept if group[0] <= index <= group[-1]]
        finite = [value for value in shown if math.isfinite(value)]
        assert not inside or (min(finite), max(finite)) == (min(inside), max(inside))


@given(HEIGHTS, st.floats(0.01, 0.2))
def test_spreading_moves_apart_and_keeps_order_and_middle(heights: list[float], gap: float) -> None:
    moved = spread(heights, gap)
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    steps = np.diff([moved[index] for index in order])
    assert (steps >= gap - 1e-9).all()
    assert sum(moved) == pytest.approx(sum(heights), abs=1e-9)


def test_heights_far_apart_stay_where_they_are() -> None:
    assert spread([0.9, 0.1, 0.5], 0.1) == [0.9, 0.1, 0.5]
