"""Files that are there whole or not at all: a kill at any moment leaves the old one or the new one."""

import os
from pathlib import Path

from evenkeel.errors import BadRun


def replace_file(path: Path, content: bytes | memoryview | str) -> None:
    """Write a file under another name beside it, bring it to disk, then give it its name.

    Raises:  BadRun when it cannot be written; what was there before is still there

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     replace_file(Path(folder) / "a.txt", "one")
    ...     print((Path(folder) / "a.txt").read_text(), len(list(Path(folder).iterdir())))
    one 1
    """
    try:
        write_whole(path, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise BadRun(
            f"{path.name} cannot be written",
            got=f"{path}: {error.strerror or error}",
            do="free space or choose another folder; what was saved before is intact",
        ) from error


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """``replace_file`` whose error is the system's own.

    Raises:  OSError when the file cannot be written; what was there before is still there
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        to_disk(path.parent)
    except OSError:
        discard(part)
        raise


def to_disk(folder: Path) -> None:
    """Bring the folder's own entries to disk, so that the new name outlives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def discard(part: Path) -> None:
    """Remove an unfinished file, if that can be done."""
    try:
        part.unlink(missing_ok=True)
    except OSError:
        return  # the first error says what is wrong
