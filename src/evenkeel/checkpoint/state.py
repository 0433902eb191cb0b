"""The text file ``checkpoint`` beside checkpoints: which there are, and which is the latest."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evenkeel.checkpoint.files import index_path, part_file, put_in_place
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
    """What the file says: the latest checkpoint, and all that are kept, the oldest first."""

    model_checkpoint_path: str
    all_model_checkpoint_paths: tuple[str, ...] = ()


def read_state(folder: str | Path, name: str | None = None) -> CheckpointState | None:
    """What the file ``checkpoint`` of a folder says; None where there is none.

    Relative paths come back with the folder before them.

    Raises:  BadData for a file that is not of this form
    Source:  TensorFlow's CheckpointState, written as protocol buffer text
    """
    path = Path(folder) / (name or NAME)
    if not path.is_file():
        return None
    latest, kept = "", []
    for field, value in _fields(path):
        if field == "model_checkpoint_path":
            latest = os.path.join(folder, value)  # noqa: PTH118  # TensorFlow's strings: "./a" stays
        elif field == "all_model_checkpoint_paths":
            kept.append(os.path.join(folder, value))  # noqa: PTH118
    return CheckpointState(latest, tuple(kept))


def write_state(
    folder: str | Path,
    latest: str,
    kept: Sequence[str] = (),
    *,
    relative: bool = False,
    name: str | None = None,
) -> None:
    """Write the file ``checkpoint`` of a folder, whole or not at all.

    Paths are written relative to the folder with ``relative``, or where the folder is not absolute.

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
    paths = [*kept] if latest in kept else [*kept, latest]
    if relative or not os.path.isabs(folder):  # noqa: PTH117
        latest, *paths = (_relative(path, folder) for path in [latest, *paths])
    lines = [f'model_checkpoint_path: "{_escaped(latest)}"']
    lines += [f'all_model_checkpoint_paths: "{_escaped(path)}"' for path in paths]
    path = Path(folder) / (name or NAME)
    with part_file(path) as file:
        file.write(("\n".join(lines) + "\n").encode())
    put_in_place(path)


def latest_checkpoint(folder: str | Path, name: str | None = None) -> str | None:
    """The latest checkpoint of a folder, if its file names one that is there.

    Raises:  BadData for a file ``checkpoint`` that is not of its form
    """
    state = read_state(folder, name)
    if state and state.model_checkpoint_path and index_path(state.model_checkpoint_path).is_file():
        return state.model_checkpoint_path
    return None


def _relative(path: str, folder: str) -> str:
    return os.path.relpath(path, folder or ".")


def _fields(path: Path) -> list[tuple[str, str]]:
    text, place, found = path.read_text(errors="surrogateescape"), 0, []
    while place < len(text):
        if not text[place:].strip():
            break
        match = _LINE.match(text, place)
        if match is None:
            raise BadData(
                'each line of the file `checkpoint` is `name: "path"`',
                got=text[place : place + 60].strip(),
                do="delete the file, or write it again with write_state",
                at=str(path),
            )
        value = match[2]
        found.append((match[1], _plain(value[1:-1]) if value[0] in "'\"" else value))
        place = match.end()
    return found


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
