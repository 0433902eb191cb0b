import torch
from torch import Tensor

from evenkeel.bench.determinism import bits, changed
from evenkeel.bench.sides import Lap


class ByThreads:
    """One array that depends on the number of threads, one that is written over each time."""

    def __init__(self) -> None:
        self._y = torch.zeros(3)

    def lap(self) -> Lap:
        return Lap(0.0)

    def arrays(self) -> dict[str, Tensor]:
        return {"y": self._y.zero_(), "dx": torch.full((3,), float(torch.get_num_threads()))}


def test_what_threads_change_is_named() -> None:
    assert changed(ByThreads(), (1, 2)) == ("dx",)
    assert changed(ByThreads(), (2, 2, 2)) == ()


def test_bits_tell_zeros_apart_and_know_nan() -> None:
    assert not torch.equal(bits(torch.tensor([0.0])), bits(torch.tensor([-0.0])))
    nan = torch.tensor([float("nan")], dtype=torch.bfloat16)
    assert torch.equal(bits(nan), bits(nan))
