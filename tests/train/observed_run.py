"""`evenkeel train` in a process of its own, for the tests that kill it: it notes where it stands.

The note lies in a file, so it outlives a SIGKILL: the number of the last finished step, whether saved
or not, and the part of the work it is in. Run by attempts.py, with its arguments put in as GIVEN.
"""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evenkeel.cli import main, show
from evenkeel.train import arm, folder, keeper, run

NOTES: dict[str, Any] = {
    "opening": (folder, "open_folder"),
    "loading": (arm, "load_checkpoint"),
    "saving": (keeper, "save_checkpoint"),
    "evaluating": (keeper, "score"),
    "finishing": (arm, "_finish"),
    "reporting": (run, "write_report"),
}


class Notes:
    """Notes of what is going on, at the place ``path``."""

    def __init__(self, path: str) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT)

    def step(self, original: Callable[..., None], self_: keeper.Keeper, *rest: Any) -> None:
        os.pwrite(self._handle, b"%08d" % self_._learner.step, 0)
        original(self_, *rest)

    def part(self, name: str, original: Callable[..., Any], *args: Any, **options: Any) -> Any:
        os.pwrite(self._handle, b" %-12s" % name.encode(), 8)
        found = original(*args, **options)
        os.pwrite(self._handle, b" %-12s" % b"training", 8)
        return found


def watch(notes: Notes) -> None:
    """Put the notes around the parts of the work."""
    step = functools.partial(notes.step, keeper.Keeper.on_train_batch_end)
    keeper.Keeper.on_train_batch_end = lambda *each: step(*each)  # type: ignore[method-assign]
    for part, (place, name) in NOTES.items():
        setattr(place, name, functools.partial(notes.part, part, getattr(place, name)))
    show.show_verdict = lambda folder: None  # the doctor takes seconds and writes nothing


def go_on(given: dict[str, Any]) -> None:
    """Begin the run in the folder ``out``, or go on with the one that is there."""
    out = Path(given["out"])
    log = os.open(out.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    watch(Notes(given["notes"]))
    begun = (out / "run.json").exists()
    sys.argv = [
        "evenkeel",
        "train",
        *(("--resume",) if begun else (*given["words"], "--out")),
        str(out),
    ]
    main()


if __name__ == "__main__":
    go_on(globals()["GIVEN"])
