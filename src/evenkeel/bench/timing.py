"""Turn by turn in one process: whatever else the machine does falls on every side alike."""

import gc
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from evenkeel.bench.compiler import compilations
from evenkeel.bench.sides import Lap, Side

WARM_UP, FEWEST, MOST = 3, 5, 2000
ENOUGH = 0.25  # seconds: a warm-up that has taken so long ends after the round
LONGEST = 20  # rounds of warming up; seen: 2, of which torch.compile compiles in the first

Laps = dict[str, list[Lap]]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long the other side took, round by round: above 1, evenkeel is faster.

    ``fastest`` compares each side's fastest step alone. On a quiet machine it is near the median; far
    from it, others were at work, and it is the figure that they spoil least.
    """

    median: float
    p10: float
    p90: float
    fastest: float


def turn_by_turn(sides: Mapping[str, Side], seconds: float, most: int = MOST) -> Laps:
    """Rounds in which every side takes one step, each time another one first.

    No side comes twice in a row (where there are three): it would find its tensors in cache.
    Goes on until all sides together have run for ``seconds``, for at least ``FEWEST`` and at most
    ``most`` rounds. A round in which anything was compiled does not count. No garbage is collected
    meanwhile.
    """
    order = list(sides)
    laps: Laps = {name: [] for name in order}
    _warm_up(sides)
    spent = 0.0
    with _no_collection():
        for _ in range(most):
            taken, compiled = _round(sides, order)
            order.append(order.pop(0))
            if compiled:
                continue
            for name, lap in taken.items():
                laps[name].append(lap)
            spent += _total(taken)
            if len(laps[order[0]]) >= FEWEST and spent >= seconds:
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
    return Ratio(median(rounds), deciles[0], deciles[-1], min(theirs) / min(ours))


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean; NaN of nothing.

    >>> geometric_mean([0.5, 2.0, 8.0])
    2.0
    """
    return math.exp(math.fsum(map(math.log, values)) / len(values)) if values else math.nan


def seconds_of(laps: Sequence[Lap]) -> list[float]:
    """Whole steps."""
    return [lap.total for lap in laps]


def _warm_up(sides: Mapping[str, Side]) -> None:
    """Rounds until a few in a row, or in much time, have compiled nothing."""
    quiet, spent = 0, 0.0
    for _ in range(LONGEST):
        taken, compiled = _round(sides, list(sides))
        quiet, spent = (0, 0.0) if compiled else (quiet + 1, spent + _total(taken))
        if quiet == WARM_UP or spent >= ENOUGH:
            return


def _round(sides: Mapping[str, Side], order: Sequence[str]) -> tuple[dict[str, Lap], bool]:
    """One step of every side, and whether anything was compiled meanwhile."""
    before = compilations()
    taken = {name: sides[name].lap() for name in order}
    return taken, compilations() != before


def _total(taken: Mapping[str, Lap]) -> float:
    return sum(lap.total for lap in taken.values())


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
