"""Tensors of strings: lengths as varints, a checksum of the lengths (4 bytes), then the bytes.

The checksums are taken over the lengths as uint32 each (uint64 past 4 GiB), not over their varints; the
tensor's own goes on over the checksum of the lengths and the bytes.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenkeel.checkpoint.checksum import crc32c, mask
from evenkeel.checkpoint.wire import cut, read_varint, write_varint
from evenkeel.errors import BadData


def read_text(data: memoryview, shape: tuple[int, ...], crc: int) -> NDArray[Any]:
    """The strings of a tensor, as an array of ``bytes`` objects.

    Raises:  BadData for lengths that the data do not hold, or a checksum that does not fit
    Source:  TensorFlow's tensor_bundle.cc, the comment above ReadStringTensor
    """
    lengths, place = _lengths(data, prod(shape))
    found = crc32c(_stored(lengths))
    stated = data[place : place + 4]
    if bytes(stated) != mask(found).to_bytes(4, "little"):
        raise _damaged("the lengths of the strings")
    if sum(lengths) != len(data) - place - 4:
        raise cut(f"strings of {sum(lengths)} bytes where {len(data) - place - 4} are left")
    if mask(crc32c(data[place:], found)) != crc:
        raise _damaged("the strings")
    place += 4
    values = np.empty(len(lengths), object)
    for index, length in enumerate(lengths):
        values[index] = bytes(data[place : place + length])
        place += length
    return values.reshape(shape)


def write_text(values: NDArray[Any]) -> tuple[bytes, int]:
    """The bytes of a tensor of ``bytes``, and its masked checksum."""
    strings = values.ravel().tolist()
    lengths = [len(string) for string in strings]
    crc = crc32c(_stored(lengths))
    rest = mask(crc).to_bytes(4, "little") + b"".join(strings)
    return b"".join(map(write_varint, lengths)) + rest, mask(crc32c(rest, crc))


def _lengths(data: memoryview, count: int) -> tuple[list[int], int]:
    lengths, place = [], 0
    for _ in range(count):
        length, place = read_varint(data, place)
        lengths.append(length)
    if place + 4 > len(data):
        raise cut("no checksum after the lengths of the strings")
    return lengths, place


def _stored(lengths: list[int]) -> bytes:
    return b"".join(n.to_bytes(4 if n < 2**32 else 8, "little") for n in lengths)


def _damaged(what: str) -> BadData:
    return BadData(
        f"{what} do not fit their checksum: the data file was damaged",
        got="another checksum than the one stored",
        do="use another checkpoint, or copy this one again from where it was made",
    )
