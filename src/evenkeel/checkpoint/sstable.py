"""Sorted tables of keys and values: TensorFlow's .index files, and LevelDB's tables.

A file is blocks, then a footer of 48 bytes: two handles (offset and size, varints) padded to 40
bytes, that of the metaindex and that of the index, then the magic. A block is entries, restarts, and
a trailer that the handle does not count: a byte for the compression, and the masked CRC-32C of block
and byte. An entry is how many bytes its key shares with the one before, how many it adds, the
value's length (varints); the added bytes; the value. At restarts (uint32 places, then how many)
nothing is shared. The index is a block itself: a key not below any of its block's, and the block's
handle.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise

import cramjam

from evenkeel.checkpoint.checksum import masked
from evenkeel.checkpoint.wire import cut, read_varint
from evenkeel.errors import BadData

FOOTER, TRAILER = 48, 5
MAGIC = 0xDB4775248B80FB57
PLAIN, SNAPPY = 0, 1
SNAPPY_MOST = 22  # a copy of 64 bytes takes 3: no honest block grows more


class Table:
    """A table: all its keys and values in order, or the value of one key, found by its block.

    Raises:  BadData for a table that is cut, whose checksums do not fit, or whose keys are not sorted
    Source:  the layout above, as LevelDB's table_format.md gives it
    """

    def __init__(self, data: memoryview) -> None:
        if len(data) < FOOTER or struct.unpack_from("<Q", data, len(data) - 8)[0] != MAGIC:
            raise BadData(
                "this is not a checkpoint's index: it does not end as one",
                got=f"{len(data)} bytes, at the end {bytes(data[-8:]).hex(' ') or 'none'}",
                do="check that the file is whole; give the name without .index",
            )
        self._data = data
        footer = data[len(data) - FOOTER :]
        metaindex, place = _handle(footer, 0)
        index, _ = _handle(footer, place)
        _block(data, metaindex)  # always empty here; its checksum finds damage all the same
        self._lasts: list[bytes] = []
        self._handles: list[tuple[int, int]] = []
        for last, where in _entries(_block(data, index)):
            self._lasts.append(last)
            self._handles.append(_handle(where, 0)[0])
        _check_order(self._lasts)
        self._kept: tuple[int, dict[bytes, memoryview]] = (-1, {})

    def __iter__(self) -> Iterator[tuple[bytes, memoryview]]:
        last = b""
        for handle in self._handles:
            for key, value in _entries(_block(self._data, handle)):
                _check_order([last, key] if last else [])
                last = key
                yield key, value

    def get(self, key: bytes) -> memoryview | None:
        """The value of a key, or None; only the block that can hold it is read."""
        number = bisect_left(self._lasts, key)
        if number == len(self._lasts):
            return None
        if self._kept[0] != number:
            self._kept = number, dict(_entries(_block(self._data, self._handles[number])))
        return self._kept[1].get(key)


def read_table(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Each key and its value, in the order of the keys.

    Raises:  BadData
    """
    yield from Table(data)


def _check_order(keys: list[bytes]) -> None:
    for last, key in pairwise(keys):
        if key <= last:
            raise cut(f"key {key!r} after {last!r}")


def _handle(data: memoryview, place: int) -> tuple[tuple[int, int], int]:
    offset, place = read_varint(data, place)
    size, place = read_varint(data, place)
    return (offset, size), place


def _block(data: memoryview, handle: tuple[int, int]) -> memoryview:
    offset, size = handle
    end = offset + size
    if end + TRAILER > len(data) - FOOTER:
        raise cut(f"a block of {size} bytes at {offset} in a file of {len(data)}")
    kind, crc = struct.unpack_from("<BI", data, end)
    if masked(data[offset : end + 1]) != crc:
        raise BadData(
            "a block of the index does not fit its checksum: the file was damaged",
            got=f"the block of {size} bytes at {offset}",
            do="use another checkpoint, or copy this one again from where it was made",
        )
    if kind == PLAIN:
        return data[offset:end]
    if kind == SNAPPY:
        return _unpacked(data[offset:end], offset)
    raise cut(
        f"compression {kind} in the block at {offset}, where 0 (none) and 1 (snappy) are known"
    )


def _unpacked(packed: memoryview, offset: int) -> memoryview:
    try:
        size = cramjam.snappy.decompress_raw_len(packed)
        if size > SNAPPY_MOST * len(packed):
            raise cut(f"a block at {offset} of {len(packed)} bytes that claims {size} unpacked")
        return memoryview(bytes(cramjam.snappy.decompress_raw(packed)))
    except cramjam.DecompressionError as error:
        raise cut(f"the block at {offset} is not snappy's: {error}") from error


def _entries(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    end = _end_of_entries(block)
    place, key = 0, b""
    while place < end:
        shared, place = read_varint(block, place)
        added, place = read_varint(block, place)
        size, place = read_varint(block, place)
        if shared > len(key) or added + size > end - place:
            raise cut(f"a key of {shared} + {added} bytes, a value of {size}, where less is left")
        key = key[:shared] + bytes(block[place : place + added])
        place += added
        yield key, block[place : place + size]
        place += size


def _end_of_entries(block: memoryview) -> int:
    if len(block) < 4:
        raise cut(f"a block of {len(block)} bytes")
    (restarts,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 - 4 * int(restarts)
    if end < 0:
        raise cut(f"{restarts} restarts in a block of {len(block)} bytes")
    return end
