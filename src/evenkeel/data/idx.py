"""idx files, the format of MNIST: read with every claim of the header checked, and written.

All numbers are big-endian.

| byte      | holds | meaning                                                                  |
|-----------|-------|--------------------------------------------------------------------------|
| 0, 1      | 0, 0  | magic                                                                    |
| 2         | dtype | 08 uint8, 09 int8, 0B int16, 0C int32, 0D float32, 0E float64            |
| 3         | rank  | number of dimensions, 1 to 32                                            |
| 4 … 4+4r  | sizes | one uint32 a dimension, each at least 1                                  |
| 4+4r … n  | data  | the values, last dimension fastest; the file ends with the last of them  |

Either may be wrapped in gzip, which is recognised by its own magic 1F 8B, never by the file's name.
"""

import gzip
import os
import zlib
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evenkeel.errors import BadData, located

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_RANK = 32  # numpy 1's limit
GZIP_MAGIC = b"\x1f\x8b"
# Deflate's shortest code, 2 bits, stands for at most 258 bytes: nothing expands further.
MOST_GZIP_EXPANDS = 1032

# What people hand over by mistake, by its first bytes.
SLIPS = {
    b"PK\x03\x04": "a zip archive: unpack it",
    b"\x93NUMPY": "a .npy file: numpy.load reads it, evenkeel.data.write_idx writes it as idx",
    b"\x89PNG": "a PNG picture: this is not the file that holds the data",
    b"<": "a web page, perhaps a server's error message: fetch the file again",
    b"version https://git-lfs": "a Git LFS pointer: run `git lfs pull`",
    GZIP_MAGIC: "gzip inside gzip: run gunzip once",
}


def read_idx(path: str | Path) -> NDArray[Any]:
    """Read an idx file, plain or gzip, as an array of the dtype and shape that its header states.

    Dtypes:  uint8, int8, int16, int32, float32 or float64, in the machine's byte order
    Raises:  BadData for a file that is missing, cut, corrupt, too long, or not idx; before any
             memory is taken for a size that the file cannot hold
    Source:  the byte table above, after the description that accompanies MNIST

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_idx(f"{folder}/labels.gz", np.array([3, 1, 4], np.uint8))
    ...     read_idx(f"{folder}/labels.gz")
    array([3, 1, 4], dtype=uint8)
    """
    with located(str(path)):
        try:
            with Path(path).open("rb") as file:
                return _read(file)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BadData(
                "the gzip data is cut or corrupt",
                got=str(error),
                do="delete the file and fetch it again",
            ) from error
        except OSError as error:
            raise BadData(
                "the file cannot be read",
                got=error.strerror or str(error),
                do="check the path and its permissions",
            ) from error


def write_idx(path: str | Path, array: NDArray[Any]) -> None:
    """Write an array as an idx file, compressed when the name ends in ``.gz``.

    Dtypes:  uint8, int8, int16, int32, float32, float64; other dtypes are refused, not converted
    Raises:  BadData for another dtype, no dimension, or a dimension of 0

    The bytes depend on the values alone: no time and no name goes into the gzip header.
    """
    big_endian = array.dtype.newbyteorder(">")
    codes = [code for code, known in DTYPES.items() if np.dtype(known) == big_endian]
    if not codes or not 1 <= array.ndim <= MAX_RANK or 0 in array.shape:
        raise BadData(
            "idx cannot hold this array",
            got=f"dtype {array.dtype}, shape {list(array.shape)}",
            do="give a non-empty array of uint8, int8, int16, int32, float32 or float64",
            at=str(path),
        )
    header = bytes([0, 0, codes[0], array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = header + array.astype(big_endian).tobytes()
    packed = gzip.compress(content, mtime=0) if str(path).endswith(".gz") else content
    Path(path).write_bytes(packed)


def _read(file: BinaryIO) -> NDArray[Any]:
    size = os.fstat(file.fileno()).st_size
    magic = file.read(len(GZIP_MAGIC))
    file.seek(0)
    if magic != GZIP_MAGIC:
        return _parse(file, most=size, exact=True)
    with gzip.GzipFile(fileobj=file) as unpacked:
        return _parse(unpacked, most=size * MOST_GZIP_EXPANDS, exact=False)


def _parse(stream: BinaryIO | gzip.GzipFile, *, most: int, exact: bool) -> NDArray[Any]:
    """``most`` bytes can come out of the stream; ``exact``: they will."""
    dtype, shape = _header(stream)
    wanted = prod(shape) * dtype.itemsize
    room = most - 4 - 4 * len(shape)
    if wanted > room or (exact and wanted != room):
        raise _wrong_length(shape, dtype, f"{'' if exact else 'at most '}{room} bytes of values")
    # One byte more than wanted: only the attempt to read on makes gzip check its checksum.
    values = stream.read(wanted + 1)
    if len(values) != wanted:
        held = f"{len(values)} bytes" if len(values) < wanted else f"more than {wanted} bytes"
        raise _wrong_length(shape, dtype, f"{held} of values")
    return np.frombuffer(values, dtype).astype(dtype.newbyteorder("=")).reshape(shape)


def _header(stream: BinaryIO | gzip.GzipFile) -> tuple[np.dtype[Any], tuple[int, ...]]:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in DTYPES:
        raise _not_idx(start + stream.read(20))
    rank = start[3]
    sizes = stream.read(4 * rank)
    shape = tuple(np.frombuffer(sizes[: len(sizes) // 4 * 4], ">u4").tolist())
    if not 1 <= rank <= MAX_RANK or len(sizes) < 4 * rank or 0 in shape:
        raise BadData(
            f"the idx header must give 1 to {MAX_RANK} sizes, each at least 1",
            got=f"{rank} announced, {list(shape)} found",
            do="the file is cut, corrupt or empty: fetch it again",
        )
    return np.dtype(DTYPES[start[2]]), shape


def _not_idx(start: bytes) -> BadData:
    if not start:
        return BadData("the file is empty", got="0 bytes", do="delete it and fetch it again")
    slip = next((text for head, text in SLIPS.items() if start.startswith(head)), None)
    if slip is None and start[2:4] == b"\0\0" and len(start) > 3:
        slip = "idx with its bytes in reverse (little-endian) order: write the file big-endian"
    return BadData(
        "this is not an idx file: it must begin with 00 00, a dtype of 08 to 0E and a rank",
        got=start[:4].hex(" "),
        do=f"this looks like {slip}" if slip else "check that this is the right file, and whole",
    )


def _wrong_length(shape: tuple[int, ...], dtype: np.dtype[Any], held: str) -> BadData:
    return BadData(
        "the file is not as long as its header says",
        got=f"a header for {list(shape)} of {dtype.name}, {prod(shape) * dtype.itemsize} bytes; "
        f"{held}",
        do="delete the file and fetch it again",
    )
