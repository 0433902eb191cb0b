"""Turn by turn in one process: whatever else the machine does falls on every side alike."""

import gc
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from evenkeel.bench.sides import Lap, Side

WARM_UP, FEWEST, MOST = 3, 5, 2000

Laps = dict[str, list[Lap]]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long the other side took, round by round: above 1, evenkeel is faster."""

    median: float
    p10: float
    p90: float


def turn_by_turn(sides: Mapping[str, Side], seconds: float, most: int = MOST) -> Laps:
    """Rounds in which every side takes one step, in an order that turns each time.

    Goes on until each side has run for ``seconds``, for at least ``FEWEST`` and at most ``most``
    rounds. No garbage is collected meanwhile.
    """
    order = list(sides)
    laps: Laps = {name: [] for name in order}
    for name in order * WARM_UP:
        sides[name].lap()
    with _no_collection():
        while len(laps[order[0]]) < most:
            for name in order:
                laps[name].append(sides[name].lap())
            order.reverse()
            if len(laps[order[0]]) >= min(FEWEST, most) and _spent(laps) >= seconds:
                break
    return laps


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """The other side's seconds over ours.

    >>> ratio([1.0, 2.0, 1.0], [2.0, 4.0, 3.0]).median
    2.0
    """
    rounds = [b / a for a, b in zip(ours, theirs, strict=True)]
    deciles = statistics.quantiles(rounds, n=10, method="inclusive") if len(rounds) > 1 else rounds
    return Ratio(median(rounds), deciles[0], deciles[-1])


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean; NaN of nothing.

    >>> geometric_mean([0.5, 2.0, 8.0])
    2.0
    """
    return math.exp(math.fsum(map(math.log, values)) / len(values)) if values else math.nan


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Torch's thread count inside; put back after."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seconds_of(laps: Sequence[Lap]) -> list[float]:
    """Whole steps."""
    return [lap.total for lap in laps]


def _spent(laps: Laps) -> float:
    return min(sum(lap.total for lap in taken) for taken in laps.values())


@contextmanager
def _no_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
