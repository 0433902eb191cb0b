"""Thousands of steps: the resident memory stays where it is after the first ones."""

import multiprocessing
import sys
from collections.abc import Callable
from typing import Any

import pytest

from hardening.soak import WORK, measure

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")


def sizes(name: str, warm: int, steps: int) -> list[int]:
    context: Any = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=measure, args=(name, warm, steps, there), daemon=True)
    child.start()
    there.close()
    found: list[int] = here.recv()
    child.join()
    return found


def growth(found: list[int]) -> float:
    return max(found) / found[0] - 1


every_work = pytest.mark.parametrize("name", [name for name in WORK if name != "leaking"])


@every_work
def test_memory_is_flat_over_hundreds_of_steps(name: str) -> None:
    assert growth(sizes(name, 300, 900)) < 0.01


@pytest.mark.slow
@every_work
def test_memory_is_flat_from_step_1000_to_10000(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    found = sizes(name, 1000, 10_000)
    record_property("resident MB", " ".join(f"{size / 1e6:.1f}" for size in found))
    assert growth(found) < 0.01


def test_a_leak_of_4_kilobytes_a_step_is_seen() -> None:
    assert growth(sizes("leaking", 300, 3000)) > 0.02
