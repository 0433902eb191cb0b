"""TFRecord files: lengths, data, and a checksum of each."""

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from evenkeel.checkpoint.checksum import masked
from evenkeel.tf1 import errors
from evenkeel.tf1.system_errors import as_tensorflow, text_of

_LENGTH, _SUM = struct.Struct("<Q"), struct.Struct("<I")


def opened(path: Any, compression: str, mode: str = "rb", level: int = 9) -> IO[bytes]:
    """A file, unpacked while it is read or packed while it is written; ``level`` is GZIP's.

    Raises:  NotFoundError and its like where it cannot be opened; InvalidArgumentError for another
             compression
    """
    name = text_of(path)
    if compression not in ("", "GZIP", "ZLIB"):
        raise errors.InvalidArgumentError(
            None, None, f"Unsupported compression type: {compression}"
        )
    with as_tensorflow(name):
        if compression == "GZIP":
            return gzip.open(name, mode, level)  # type: ignore[return-value]  # binary modes only
        if compression == "ZLIB" and mode == "rb":
            return io.BytesIO(zlib.decompress(Path(name).read_bytes()))
        return Path(name).open(mode)


@contextmanager
def reading(path: Any, compression: str) -> Iterator[IO[bytes]]:
    """A file to read, closed after.

    Raises:  as ``opened``; DataLossError for what is not packed as ``compression`` says, or is cut
    """
    with as_tensorflow(path):
        try:
            with opened(path, compression) as file:
                yield file
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            words = f"{text_of(path)}: not whole {compression} data: {error}"
            raise errors.DataLossError(None, None, words) from None


def framed(data: bytes) -> bytes:
    """A record as it stands in a file."""
    length = _LENGTH.pack(len(data))
    return b"".join([length, _SUM.pack(masked(length)), data, _SUM.pack(masked(data))])


def records(file: IO[bytes]) -> Iterator[bytes]:
    """The records of a file.

    Raises:  DataLossError for a truncated or damaged record
    """
    at = 0
    while head := file.read(12):
        (length,) = _LENGTH.unpack(_checked(head[:8], head[8:], at, 8))
        body = file.read(length + 4) if length < 1 << 40 else b""
        yield _checked(body[:length], body[length:], at, length)
        at += 16 + length


def _checked(data: bytes, sum_bytes: bytes, at: int, length: int) -> bytes:
    if len(data) != length or len(sum_bytes) != 4:
        raise errors.DataLossError(None, None, f"truncated record at {at}")
    if _SUM.unpack(sum_bytes)[0] != masked(data):
        raise errors.DataLossError(None, None, f"corrupted record at {at}")
    return data
