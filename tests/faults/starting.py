"""Starts the processes of a fault, and tells how each ended."""

import json
import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.ranks import NEVER, Fault, run


@dataclass(frozen=True, slots=True)
class End:
    """How one process ended: its exit code (None: it hung), and the error that it met."""

    rank: int
    code: int | None
    error: str = ""
    text: str = ""
    seconds: float = 0.0


def context() -> Any:
    """Processes are forked from one that has imported torch, which saves seconds each."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["torch", "evenkeel", "faults.ranks"])
    return made


def ended(fault: Fault) -> list[End]:
    """Each process but a victim that was stopped, which is killed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        every = [
            context().Process(target=run, args=(fault, rank, Path(folder)))
            for rank in range(fault.world)
        ]
        for process in every:
            process.start()
        stopped = every[fault.victim] if fault.kind == "stop" else None
        limit = time.monotonic() + NEVER
        for process in every:
            if process is not stopped:
                process.join(max(limit - time.monotonic(), 0.01))
        ends = [read(Path(folder), rank, p.exitcode) for rank, p in enumerate(every)]
        for process in every:
            process.kill()
            process.join()
    return [end for end in ends if every[end.rank] is not stopped]


def read(folder: Path, rank: int, code: int | None) -> End:
    told = folder / f"{rank}.json"
    if not told.exists():
        return End(rank, code, text=(folder / f"{rank}.err").read_text()[-500:])
    met = json.loads(told.read_text())
    return End(rank, code, met["error"], met["text"], met["seconds"])
