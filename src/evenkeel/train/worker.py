"""One of several processes that train a run: ``python -m evenkeel.train.worker FOLDER PROGRESS``."""

import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from evenkeel.data import load
from evenkeel.errors import EvenkeelError
from evenkeel.train.arm import run_arms
from evenkeel.train.folder import open_folder
from evenkeel.train.interrupt import SIGNALS, Interrupted, StopWish
from evenkeel.train.ranks import joined, started_with

FAILED = 1


def main(folder: str, progress: str) -> None:
    """Train this process's part; what goes wrong is told in JSON on what was standard output."""
    answer = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with StopWish() as wish:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # the parent blocked them
        try:
            work(Path(folder), wish, progress=bool(int(progress)))
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 -- the parent raises it
            os.write(answer, json.dumps(told(error)).encode())
            sys.exit(FAILED)


def work(folder: Path, wish: StopWish, *, progress: bool) -> None:
    """Train the run in the folder together with the other processes."""
    with joined(started_with()) as ranks:
        path, config = open_folder(folder)
        dataset = load(config.data, offline=True)  # the parent has it here already
        run_arms(path, config, dataset, wish, ranks, progress=progress)


def told(error: BaseException) -> dict[str, Any]:
    """An error in plain values.

    >>> told(EvenkeelError("it is wrong", got=1, do="give 2"))["parts"]
    {'problem': 'it is wrong', 'got': '1', 'do': 'give 2', 'at': ''}
    """
    said: dict[str, Any] = {"kind": type(error).__name__}
    if isinstance(error, EvenkeelError):
        parts = {name: getattr(error, name) for name in ("problem", "got", "do", "at")}
        return {**said, "parts": parts}
    if isinstance(error, Interrupted):
        return {**said, "stopped": (error.step, error.steps, error.number)}
    message = f"{type(error).__name__}: {error}"
    return {**said, "message": message, "trace": "".join(traceback.format_exception(error))}


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(FAILED)


if __name__ == "__main__":
    main(*sys.argv[1:])
