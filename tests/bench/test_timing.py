import gc
import math

import pytest
import torch
from torch import Tensor

from evenkeel.bench.sides import Lap
from evenkeel.bench.timing import FEWEST, WARM_UP, geometric_mean, ratio, turn_by_turn
from evenkeel.threads import borrowed_threads


class Counting:
    """Writes its name into a list at each step."""

    def __init__(self, name: str, seconds: float, log: list[str]) -> None:
        self._name, self._seconds, self._log = name, seconds, log

    def lap(self) -> Lap:
        self._log.append(self._name)
        return Lap(self._seconds)

    def arrays(self) -> dict[str, Tensor]:
        return {}


def test_the_order_turns_every_round() -> None:
    log: list[str] = []
    sides = {name: Counting(name, 0.01, log) for name in "abc"}
    laps = turn_by_turn(sides, 0.1)
    assert "".join(log[: 3 * WARM_UP]) == "abc" * WARM_UP
    assert "".join(log[3 * WARM_UP :]) == "abcbcacababcbca"
    assert [len(taken) for taken in laps.values()] == [FEWEST] * 3


def test_it_goes_on_until_all_sides_together_have_their_time() -> None:
    sides = {"slow": Counting("s", 1.0, []), "fast": Counting("f", 0.25, [])}
    assert len(turn_by_turn(sides, 25.0)["fast"]) == 20
    assert len(turn_by_turn(sides, 25.0, most=7)["fast"]) == 7
    assert len(turn_by_turn(sides, 25.0, most=2)["slow"]) == 2


def test_a_long_warm_up_is_one_round() -> None:
    log: list[str] = []
    turn_by_turn({"a": Counting("a", 1.0, log)}, 0.1)
    assert len(log) == 1 + FEWEST


def test_collection_is_switched_on_again_after_an_error() -> None:
    class Failing(Counting):
        def lap(self) -> Lap:
            if not gc.isenabled():
                raise ZeroDivisionError
            return Lap(1.0)

    with pytest.raises(ZeroDivisionError):
        turn_by_turn({"a": Failing("a", 1.0, [])}, 0.1)
    assert gc.isenabled()


def test_a_ratio_is_taken_round_by_round() -> None:
    found = ratio([1.0] * 11, [float(k) for k in range(11)])
    assert (found.p10, found.median, found.p90) == pytest.approx((1.0, 5.0, 9.0))
    assert ratio([2.0, 100.0, 2.0], [4.0, 200.0, 4.0]).median == 2.0
    assert ratio([2.0], [1.0]).p90 == 0.5


def test_the_geometric_mean() -> None:
    assert geometric_mean([1.0, 10.0, 100.0]) == pytest.approx(10.0)
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1.0)
    assert math.isnan(geometric_mean([]))


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), borrowed_threads(before + 2):
        assert torch.get_num_threads() == before + 2
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
