"""The files of a checkpoint: their names, mapped reading, and writing that a kill cannot tear."""

import glob
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from evenkeel.errors import BadData
from evenkeel.files import discard, to_disk

PART = ".part"
BLOCK = 1 << 20  # of a file that is read in pieces: fits the cache


def index_path(prefix: str) -> Path:
    """The index of the checkpoint ``prefix``."""
    return Path(f"{prefix}.index")


def shard_path(prefix: str, shard: int = 0, shards: int = 1) -> Path:
    """One data file of the checkpoint ``prefix``."""
    return Path(f"{prefix}.data-{shard:05d}-of-{shards:05d}")


def v1_files(prefix: str) -> list[Path]:
    """The files of a V1 checkpoint: the one of this name, or those of a pattern (a-?????-of-00002)."""
    named = [prefix] if Path(prefix).is_file() else glob.glob(prefix)  # noqa: PTH207  # a full path
    return sorted(Path(path) for path in named if Path(path).is_file())


def checkpoint_files(prefix: str) -> list[Path]:
    """What says that a checkpoint is there: its index, or the files of version 1; empty if not."""
    index = index_path(prefix)
    return [index] if index.is_file() else v1_files(prefix)


def part_of(path: Path) -> Path:
    """Where a file stands while it is being written."""
    return path.with_name(path.name + PART)


def map_file(path: Path) -> memoryview:
    """The bytes of a file, in memory only where they are read.

    Raises:  BadData where it cannot be opened
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            # An empty file cannot be mapped. The map keeps the file after a rename over its name.
            return memoryview(
                mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
            )
    except OSError as error:
        raise BadData(
            "a file of the checkpoint cannot be read",
            got=error.strerror or str(error),
            do="copy all files of the checkpoint together: .index and every .data-…",
            at=str(path),
        ) from error


class DataFile:
    """A data file of a checkpoint: its bytes as one map, given back to the system after use.

    Raises:  BadData where it cannot be opened
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bytes = map_file(path)

    def range(self, offset: int, size: int) -> memoryview:
        """Some of the bytes.

        Raises:  BadData where the file ends before; also if it was cut after it was opened
        """
        owner = self._bytes.obj
        length = owner.size() if isinstance(owner, mmap.mmap) else len(self._bytes)
        if offset + size > min(length, len(self._bytes)):
            raise BadData(
                "the data file is shorter than its index says",
                got=f"{length} bytes, {size} wanted from byte {offset} on",
                do="the copy was cut: copy the checkpoint again from where it was made",
            )
        return self._bytes[offset : offset + size]

    def blocks(self, offset: int, size: int) -> Iterator[memoryview]:
        """Some of the bytes in blocks; each leaves memory when the next is asked for."""
        whole = self.range(offset, size)
        for first in range(0, size, BLOCK):
            block = whole[first : first + BLOCK]
            yield block
            self.release(offset + first, len(block))

    def release(self, offset: int, size: int) -> None:
        """Take the pages of a range out of memory; who reads them again finds them on disk."""
        owner = self._bytes.obj
        first = offset // mmap.PAGESIZE * mmap.PAGESIZE
        if isinstance(owner, mmap.mmap) and size:
            owner.madvise(mmap.MADV_DONTNEED, first, offset + size - first)


def slip_in(prefix: str) -> str | None:
    """What the name has too much, where it is the name of one file of a V2 checkpoint."""
    return next((end for end in (".index", ".meta", ".data-") if end in Path(prefix).name), None)


def missing(prefix: str) -> BadData:
    """The error of a checkpoint that is not there, with the likely slip."""
    slip, do = slip_in(prefix), "check the path"
    if slip:
        do = f"give the name without its end: {prefix[: prefix.rindex(slip)]}"
    elif (Path(prefix) / "checkpoint").is_file():
        do = "give latest_checkpoint(folder), which reads its file `checkpoint`"
    elif Path(prefix).is_file():
        do = "open_checkpoint(path) reads it if it is of version 1"
    return BadData("there is no checkpoint of this name", got=f"{prefix}", do=do)


@contextmanager
def part_file(path: Path) -> Iterator[BinaryIO]:
    """Write what ``path`` shall be to its part, in a folder made where it is missing; on disk
    when this ends, not yet in place.

    Raises:  BadData where it cannot be written; then there is no part
    """
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        discard(part)
        raise unwritable(path, error) from error
    except BaseException:
        discard(part)
        raise


def put_in_place(path: Path) -> None:
    """Give a part its name, in one step, and bring the name to disk.

    Raises:  BadData where that cannot be done
    """
    try:
        try:
            part_of(path).replace(path)
        except FileNotFoundError:
            # A reader that came between the two renames of a checkpoint has done the second.
            if not path.is_file():
                raise
        to_disk(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> BadData:
    """The error of a checkpoint that cannot be written."""
    return BadData(
        "the checkpoint cannot be written",
        got=error.strerror or str(error),
        do="free space or choose another folder; what was saved before is intact",
        at=str(path),
    )
