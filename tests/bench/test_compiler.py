import pytest
from torch import Tensor

from evenkeel.bench import timing
from evenkeel.bench.sides import Lap
from evenkeel.bench.timing import FEWEST, turn_by_turn


class Compiling:
    """Compiles in some of its steps, counted from 0."""

    def __init__(self, when: set[int]) -> None:
        self.steps, self.compiled, self._when = 0, 0, when

    def lap(self) -> Lap:
        self.compiled += self.steps in self._when
        self.steps += 1
        return Lap(float(self.steps))

    def arrays(self) -> dict[str, Tensor]:
        return {}


def test_timing_starts_when_nothing_more_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    side = Compiling({0, 1, 2, 3})
    monkeypatch.setattr(timing, "compilations", lambda: side.compiled)
    monkeypatch.setattr(timing, "ENOUGH", 1e9)
    laps = turn_by_turn({"a": side}, 0.1)["a"]
    assert laps[0].total == 4 + timing.WARM_UP + 1


def test_a_round_that_compiles_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    side = Compiling({timing.WARM_UP + 1})
    monkeypatch.setattr(timing, "compilations", lambda: side.compiled)
    monkeypatch.setattr(timing, "ENOUGH", 1e9)
    laps = [lap.total for lap in turn_by_turn({"a": side}, 0.1)["a"]]
    assert len(laps) == FEWEST
    assert timing.WARM_UP + 2 not in laps
