"""No fault of a rank hangs the others, and each of them says where and who."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from faults.cases import CASES, complaints, wrong
from faults.ranks import Fault
from faults.starting import End, ended

AT_ONCE = 6  # most of the time the processes wait


def every(faults: list[Fault]) -> Iterator[tuple[Fault, list[End]]]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from zip(faults, pool.map(ended, faults), strict=True)


@pytest.fixture(scope="module")
def ends() -> dict[Fault, list[End]]:
    return dict(every(list(CASES)))


@pytest.mark.parametrize("fault", CASES, ids=str)
def test_a_fault_is_an_error_on_every_rank(fault: Fault, ends: dict[Fault, list[End]]) -> None:
    assert complaints(fault, ends[fault]) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", CASES, ids=str)
def test_twenty_times(fault: Fault) -> None:
    for _, found in every([fault] * 20):
        assert complaints(fault, found) == []


def test_what_is_not_named_is_seen() -> None:
    fault = Fault("kill", 2, world=3, victim=2)
    good = "rank 2 is missing at exchange 6, second, 6 channels, float32"
    assert wrong(fault, End(0, 1, "RanksDiffer", good, 4.0)) == []
    bad = [
        End(0, None),
        End(0, 0, "RanksDiffer", good, 4.0),
        End(0, 1, "RanksDiffer", good, 9.5),
        End(0, 1, "RuntimeError", good, 4.0),
        End(0, 1, "RanksDiffer", good.replace("rank 2", "rank 1"), 4.0),
        End(0, 1, "RanksDiffer", good.replace("6,", "5,"), 4.0),
        End(0, 1, "RanksDiffer", good.replace("second", "a layer"), 4.0),
    ]
    assert all(wrong(fault, end) for end in bad)
