"""The text file ``checkpoint`` beside checkpoints: which there are, and which is the latest."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evenkeel.checkpoint.files import checkpoint_files, part_file, put_in_place
from evenkeel.errors import BadData

NAME = "checkpoint"
_LINE = re.compile(r'\s*(\w+)\s*:\s*("(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|[-+.\w]+)\s*')
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|.)", re.DOTALL)
_LETTERS = {
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"v": b"\v",
}

_SPECIAL = {ord(mark): f"\\{mark}" for mark in "\\\"'"} | {9: "\\t", 10: "\\n", 13: "\\r"}


@dataclass(frozen=True, slots=True)
class CheckpointState:
    """What the file says: the latest checkpoint, and all that are kept, the oldest first.

    Timestamps are seconds since 1970: when each was saved, and when one was last kept for good.
    """

    model_checkpoint_path: str
    all_model_checkpoint_paths: tuple[str, ...] = ()
    all_model_checkpoint_timestamps: tuple[float, ...] = ()
    last_preserved_timestamp: float = 0.0


def read_state(folder: str | Path, name: str | None = None) -> CheckpointState | None:
    """What the file ``checkpoint`` of a folder says; None where there is none.

    Relative paths come back with the folder before them.

    Raises:  BadData for a file that is not of this form
    Source:  TensorFlow's CheckpointState, written as protocol buffer text
    """
    path = Path(folder) / (name or NAME)
    if not path.is_file():
        return None
    latest, kept, times, preserved = "", list[str](), list[float](), 0.0
    for field, value in _fields(path):
        if field == "model_checkpoint_path":
            latest = os.path.join(folder, value)  # noqa: PTH118  # TensorFlow's strings: "./a" stays
        elif field == "all_model_checkpoint_paths":
            kept.append(os.path.join(folder, value))  # noqa: PTH118
        elif field == "all_model_checkpoint_timestamps":
            times.append(_seconds(value, path))
        elif field == "last_preserved_timestamp":
            preserved = _seconds(value, path)
    return CheckpointState(latest, tuple(kept), tuple(times), preserved)


def write_state(
    folder: str | Path,
    latest: str,
    kept: Sequence[str] = (),
    *,
    relative: bool = False,
    name: str | None = None,
    timestamps: Sequence[float] = (),
    preserved: float | None = None,
) -> None:
    """Write the file ``checkpoint`` of a folder, whole or not at all.

    Paths are written relative to the folder with ``relative``; relative ones also where the folder is
    relative itself. ``timestamps`` are those of ``kept``, ``preserved`` that of the last one kept for
    good, in seconds since 1970.

    Raises:  BadData when it cannot be written
    Source:  TensorFlow 1.15's update_checkpoint_state

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_state(folder, f"{folder}/model-2", relative=True)
    ...     print((Path(folder) / "checkpoint").read_text(), end="")
    model_checkpoint_path: "model-2"
    all_model_checkpoint_paths: "model-2"
    """
    folder = str(folder)
    paths = [*kept] if latest in kept[-1:] else [*kept, latest]
    latest, *paths = (_written(path, folder, relative) for path in [latest, *paths])
    lines = [f'model_checkpoint_path: "{_escaped(latest)}"']
    lines += [f'all_model_checkpoint_paths: "{_escaped(path)}"' for path in paths]
    lines += [f"all_model_checkpoint_timestamps: {float(when)!r}" for when in timestamps]
    if preserved is not None:
        lines.append(f"last_preserved_timestamp: {float(preserved)!r}")
    path = Path(folder) / (name or NAME)
    with part_file(path) as file:
        file.write(("\n".join(lines) + "\n").encode())
    put_in_place(path)


def latest_checkpoint(folder: str | Path, name: str | None = None) -> str | None:
    """The latest checkpoint of a folder, if its file names one that is there.

    Raises:  BadData for a file ``checkpoint`` that is not of its form
    """
    state = read_state(folder, name)
    if state and state.model_checkpoint_path and checkpoint_files(state.model_checkpoint_path):
        return state.model_checkpoint_path
    return None


def _written(path: str, folder: str, relative: bool) -> str:
    # A relative path counts from the working folder; an absolute one stays unless it is told not to.
    wanted = relative if os.path.isabs(path) else not os.path.isabs(folder)  # noqa: PTH117
    return os.path.relpath(path, folder or ".") if wanted else path


def _seconds(text: str, path: Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise _unreadable(text, path) from None


def _fields(path: Path) -> list[tuple[str, str]]:
    text, place, found = path.read_text(errors="surrogateescape"), 0, []
    while place < len(text):
        if not text[place:].strip():
            break
        match = _LINE.match(text, place)
        if match is None:
            raise _unreadable(text[place : place + 60].strip(), path)
        value = match[2]
        found.append((match[1], _plain(value[1:-1]) if value[0] in "'\"" else value))
        place = match.end()
    return found


def _unreadable(got: str, path: Path) -> BadData:
    return BadData(
        'each line of the file `checkpoint` is `name: "path"`',
        got=got,
        do="delete the file, or write it again with write_state",
        at=str(path),
    )


def _escaped(path: str) -> str:
    return "".join(
        _SPECIAL.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}")
        for byte in os.fsencode(path)
    )


def _plain(text: str) -> str:
    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if code[:1] in b"xX" and len(code) > 1:
            return bytes([int(code[1:], 16)])
        if code[:1] in b"01234567":
            return bytes([int(code, 8) & 0xFF])
        return _LETTERS.get(code, code)

    return os.fsdecode(_ESCAPE.sub(one, os.fsencode(text)))
