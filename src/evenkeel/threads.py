"""Threads: how many torch uses, and how they wait."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def borrowed_threads(number: int) -> Iterator[None]:
    """``number`` threads inside; put back after, also after an error."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def spin_less(argv: Sequence[str]) -> None:
    """Let the threads of ``evenkeel run`` sleep soon when they wait, unless the user says how they do.

    OpenMP reads this when torch loads, hence before anything else of the package. By itself it turns
    300,000 times first: dnn_elu.py takes 4.7 ms a step on two cores so, 3.5 ms with 1,000 turns.
    """
    command = argv[1:2] == ["run"] and Path(argv[0]).name in ("evenkeel", "-m", "__main__.py")
    if command and "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


spin_less(sys.argv)
