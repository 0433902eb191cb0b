"""A run's folder: what its files are called, how one is made, found again and claimed."""

import fcntl
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from evenkeel.errors import BadRun
from evenkeel.files import part_of, replace_file
from evenkeel.train.config import RunConfig
from evenkeel.train.plain import from_json, to_json
from evenkeel.train.records import RunResult

Data = TypeVar("Data")

CONFIG = "run.json"
CHECKPOINT = "last.ckpt"
WEIGHTS = "model.safetensors"
METRICS = "metrics.csv"
RESULT = "result.json"
REPORT = "report.html"
EVENTS = "tensorboard"


@contextmanager
def new_folder(out: str | Path | None, recipe: str) -> Iterator[Path]:
    """An empty folder for a new run: ``out``, or the next free ``runs/<recipe>-<number>``.

    Made on entry, and removed again after an error inside, when it is still empty.

    Raises:  BadRun when there is something in it, or nothing can be written to it
    """
    path = _next_free(Path("runs"), recipe) if out is None else Path(out).expanduser()
    made = out is None or _make(path)
    _check_usable(path)
    try:
        yield path
    except BaseException:
        if made:
            with suppress(OSError):
                path.rmdir()
        raise


def open_folder(path: str | Path) -> tuple[Path, RunConfig]:
    """The folder of an existing run and its configuration; also by the path of its ``last.ckpt``.

    Raises:  BadRun when it is no run of evenkeel's, or its run.json is damaged
    """
    given = Path(path).expanduser()
    folder = given.parent if given.name == CHECKPOINT else given
    if not (folder / CONFIG).is_file():
        raise BadRun(
            "this is not a run of evenkeel's",
            got=f"{given}: " + ("no run.json in it" if folder.is_dir() else "no such folder"),
            do="give the folder that evenkeel train wrote, for example runs/conv20-001",
        )
    return folder, read_json(RunConfig, folder / CONFIG)


def write_config(folder: Path, config: RunConfig) -> None:
    """Write run.json: the first file of a run."""
    replace_file(folder / CONFIG, to_json(config) + "\n")


def load_result(folder: str | Path) -> RunResult:
    """The result of a finished run.

    Raises:  BadRun when it is missing or damaged
    """
    return read_json(RunResult, Path(folder) / RESULT)


def read_json(kind: type[Data], path: Path) -> Data:
    """A dataclass from its JSON file.

    Raises:  BadRun with the file's path when it is missing or damaged
    """
    try:
        return from_json(kind, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadRun(
            f"{path.name} cannot be read", got=f"{path}: {error}", do="check the path"
        ) from error
    except BadRun as error:
        raise BadRun(error.problem, got=error.got, do=error.do, at=str(path)) from error


@contextmanager
def claimed(folder: Path) -> Iterator[int]:
    """Keep a second process out of the folder; the claim ends with the process at the latest.

    The handle that is given holds the claim: a child process that has it, holds it too.

    Raises:  BadRun when another process is training there
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder)
        yield handle
    finally:
        os.close(handle)


def resume_command(folder: Path) -> str:
    """What to type to go on with a run.

    >>> resume_command(Path("runs/conv20 two"))
    "evenkeel train --resume 'runs/conv20 two'"
    """
    return f"evenkeel train --resume {shlex.quote(str(folder))}"


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BadRun(
            "another process is training in this folder",
            got=str(folder),
            do="wait for it to end, or stop it first",
        ) from error


def _next_free(parent: Path, recipe: str) -> Path:
    for number in range(1, 1_000_000):
        path = parent / f"{recipe}-{number:03d}"
        if not path.exists() and _make(path):
            return path
    raise BadRun("no free number for a run", got=str(parent), do="give --out")


def _make(path: Path) -> bool:
    """Make the folder; False when there is one already."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error
    return True


def _check_usable(path: Path) -> None:
    if not path.is_dir():
        raise _unwritable(path, "there is a file of that name")
    if not os.access(path, os.W_OK | os.X_OK):
        raise _unwritable(path, "no permission to write")
    if (path / CONFIG).exists():
        raise BadRun(
            "this folder already holds a run",
            got=str(path),
            do=f"go on with it: {resume_command(path)}; or give another --out",
        )
    if any(each != part_of(path / CONFIG) for each in path.iterdir()):  # of a start that was killed
        raise BadRun(
            "the output folder is not empty",
            got=str(path),
            do="give a new or empty folder as --out",
        )


def _unwritable(path: Path, reason: str) -> BadRun:
    return BadRun(
        "the output folder cannot be written",
        got=f"{path}: {reason}",
        do="give a folder that you can write to as --out",
    )
