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
    """Let the threads of ``evenkeel run`` sleep soon when they wait, where others use the cores too.

    OpenMP reads this when torch loads, hence before anything else of the package; what the user says
    stays. By itself it turns 300,000 times first. On two cores without other work that is best (conv20
    24.5 ms a step, 27.5 with 1,000 turns); with other work dnn_elu.py takes 12 ms and more a step so,
    3.3 with 1,000.
    """
    command = argv[1:2] == ["run"] and Path(argv[0]).name in ("evenkeel", "-m", "__main__.py")
    early = "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ
    if command and early and others_running() > (os.cpu_count() or 1) / 4:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def others_running(loads: Path = Path("/proc/loadavg")) -> int:
    """How many other threads of the machine run at this moment; 0 where it does not tell.

    (Not the load average: that is of the last minute, so also of what has ended.)
    """
    return int(loads.read_text().split()[3].partition("/")[0]) - 1 if loads.exists() else 0


spin_less(sys.argv)
