"""From a history to the line that shows it: smoothing, and thinning that keeps the picture."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

COLUMNS = 400
"""A longer history is drawn by the extremes of this many groups of records: the same picture."""


def floats(values: Sequence[float]) -> Floats:
    """A history as an array of float64."""
    return np.array(values, dtype=np.float64)


def smoothing_window(rows: int) -> int:
    """How many records the smoothed line takes the mean of."""
    return max(1, rows // 40)


def smoothed(values: Floats, window: int) -> Floats:
    """The mean of the finite values among the last ``window``; NaN where there is none.

    >>> smoothed(floats([4.0, 2.0, float("nan"), 6.0]), 2).tolist()
    [4.0, 3.0, 2.0, 6.0]
    """
    means = np.full(len(values), np.nan)
    for last in range(len(values)):
        group = values[max(0, last + 1 - window) : last + 1]
        group = group[np.isfinite(group)]
        if len(group):
            means[last] = group.mean()
    return means


def thin(values: Floats, columns: int = COLUMNS) -> list[int]:
    """Indices of the values that draw the line: all, or each group's ends and extremes.

    >>> thin(floats([0, 5, 1, 2, 9, 3, 4, 4, 1, 2]), columns=2)
    [0, 4, 5, 6, 8, 9]
    """
    if len(values) <= 4 * columns:
        return list(range(len(values)))
    kept: set[int] = set()
    for group in np.array_split(np.arange(len(values)), columns):
        finite = group[np.isfinite(values[group])]
        kept.update((int(group[0]), int(group[-1])))
        if len(finite):
            inside = values[finite]
            kept.update((int(finite[inside.argmin()]), int(finite[inside.argmax()])))
    return sorted(kept)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Heights at least ``gap`` apart, in the same order, moved about their common middle.

    >>> spread([0.5, 0.5], 0.25)
    [0.375, 0.625]
    """
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    moved = list(heights)
    for below, above in pairwise(order):
        moved[above] = max(moved[above], moved[below] + gap)
    shift = (sum(moved) - sum(heights)) / max(len(heights), 1)
    return [height - shift for height in moved]
