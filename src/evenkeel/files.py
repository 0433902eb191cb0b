"""Files that are there whole or not at all: a kill at any moment leaves the old one or the new one."""

import os
import zipfile
from pathlib import Path

from evenkeel.errors import BadData, BadRun

# A zip archive of tensors that becomes larger than this, and this many times its own size, is none
# that anybody keeps on purpose.
UNPACKED, TIMES = 2**30, 100


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
    part = part_of(path)
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


def part_of(path: Path) -> Path:
    """Where a file is written before it gets its name; a kill may leave it there.

    >>> part_of(Path("runs/a.txt")).as_posix()
    'runs/.a.txt.part'
    """
    return path.with_name(f".{path.name}.part")


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


def refuse_bomb(path: Path) -> None:
    """Refuse a zip archive that would fill the memory: arrays and checkpoints may be such archives.

    Raises:  BadData for an archive that says to hold more than 1 GiB and 100 times its own size.
             What is no archive, or a damaged one, is left to whoever reads it
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        packed = path.stat().st_size
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return
    if unpacked > max(UNPACKED, TIMES * packed):
        raise BadData(
            "this archive unpacks to more than its size lets expect",
            got=f"{path}: {packed} bytes, {unpacked} unpacked",
            do="if you trust it, unpack it and write its arrays anew, uncompressed",
        )
