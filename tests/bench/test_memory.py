import os

import pytest
import torch
from torch import Tensor

from evenkeel.bench.memory import peak_bytes
from evenkeel.bench.sides import Lap


class Allocating:
    """Holds one tensor, then two at a time."""

    def lap(self) -> Lap:
        kept = torch.empty(1 << 20)
        for _ in range(3):
            passing = torch.empty(1 << 20)
            passing.add_(1)
        del kept, passing
        return Lap(0.0)

    def arrays(self) -> dict[str, Tensor]:
        return {}


def test_the_profiler_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    peak_bytes(Allocating())
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_the_peak_is_what_was_held_at_once() -> None:
    # a name keeps its old tensor until the new one is there
    assert peak_bytes(Allocating()) == 3 * 4 << 20
