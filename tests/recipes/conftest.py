"""What TensorFlow 1.15.5 saved, read without TensorFlow: the independent side of these tests."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[np.float32]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block of a sorted-string table; keys share prefixes."""
    block, at, key = data[offset : offset + size], 0, b""
    (restarts,) = struct.unpack("<I", block[-4:])
    while at < len(block) - 4 * (restarts + 1):
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key, at = key[:shared] + block[at : at + fresh], at + fresh
        yield key, block[at : at + length]
        at += length


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a protocol buffer's fields."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7 == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
        elif tag & 7 == 2:
            length, at = _varint(message, at)
            yield tag >> 3, message[at : at + length]
            at += length
        else:
            at += 4  # the checksum, a fixed 32-bit field


def _entry(message: bytes) -> tuple[list[int], int, int]:
    found = dict(_fields(message))
    shape = found.get(2, b"")
    assert isinstance(shape, bytes)
    sizes = [dict(_fields(dim)).get(1, 0) for _, dim in _fields(shape) if isinstance(dim, bytes)]
    offset, size = found.get(4, 0), found.get(5, 0)
    assert isinstance(offset, int)
    assert isinstance(size, int)
    return [n for n in sizes if isinstance(n, int)], offset, size


def read_checkpoint(prefix: Path) -> dict[str, Array]:
    """Every variable of a TensorFlow checkpoint of one shard."""
    index = Path(f"{prefix}.index").read_bytes()
    data = Path(f"{prefix}.data-00000-of-00001").read_bytes()
    _, at = _varint(index, len(index) - 48)
    _, at = _varint(index, at)
    offset, at = _varint(index, at)
    size, _ = _varint(index, at)
    found = {}
    for _, handle in _block(index, offset, size):
        start, after = _varint(handle, 0)
        for key, value in _block(index, start, _varint(handle, after)[0]):
            if key:
                shape, begin, length = _entry(value)
                held = np.frombuffer(data[begin : begin + length], np.float32)
                found[key.decode()] = held.reshape(shape)
    return found


@pytest.fixture(scope="session")
def checkpoint(shared: Path) -> Callable[[str], dict[str, Array]]:
    """Reads a checkpoint below ``shared/oracle/artefacts``."""
    return lambda name: read_checkpoint(shared / "oracle" / "artefacts" / name)


@pytest.fixture(scope="session")
def oracle(shared: Path) -> Iterator[Callable[[str], Array]]:
    """Reads an array of the operations recorded from TensorFlow."""
    with np.load(shared / "oracle" / "tf115_ops.npz") as held:
        yield lambda name: held[name]
