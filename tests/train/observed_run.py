"""A run in a process of its own, for test_resume: it notes each finished step before any saving."""

import os
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from evenkeel.train.keeper import Keeper
from evenkeel.train.run import resume, train


class Observed:
    """Wraps what happens between steps; the number lies in a file, so it outlives a SIGKILL."""

    def __init__(self, path: str) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT)
        self._original = Keeper.on_train_batch_end

    def __call__(self, keeper: Keeper, trainer: Trainer, *rest: object) -> None:
        os.pwrite(self._handle, b"%08d" % keeper._learner.step, 0)
        self._original(keeper, trainer, *rest)


def go_on(given: dict[str, Any]) -> None:
    """Begin the run in the folder ``out``, or go on with the one that is there."""
    observed = Observed(given["notes"])
    Keeper.on_train_batch_end = lambda *each: observed(*each)  # type: ignore[method-assign]
    if (Path(given["out"]) / "run.json").exists():
        resume(given["out"], progress=False)
    else:
        train(**given["options"], out=given["out"], progress=False)


if __name__ == "__main__":
    go_on(globals()["GIVEN"])
