"""The writer of sorted tables: the bytes that TensorFlow's own writer makes of the same entries."""

import struct
from collections.abc import Iterable

from evenkeel.checkpoint.checksum import masked
from evenkeel.checkpoint.sstable import FOOTER, MAGIC, PLAIN
from evenkeel.checkpoint.wire import write_varint

# table::Options of TensorFlow: block_size, block_restart_interval
BLOCK_SIZE, RESTART = 262144, 16


class _Block:
    """One block as it fills up."""

    def __init__(self, restart: int) -> None:
        self.restart, self.count, self.last = restart, 0, b""
        self.body, self.restarts = bytearray(), [0]

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self.count % self.restart:
            shared = _shared(self.last, key)
        elif self.count:
            self.restarts.append(len(self.body))
        for number in (shared, len(key) - shared, len(value)):
            self.body += write_varint(number)
        self.body += key[shared:] + value
        self.last, self.count = key, self.count + 1

    @property
    def size(self) -> int:
        return len(self.body) + 4 * len(self.restarts) + 4

    def finish(self) -> bytes:
        restarts = [*self.restarts, len(self.restarts)]
        return bytes(self.body) + struct.pack(f"<{len(restarts)}I", *restarts)


def write_table(entries: Iterable[tuple[bytes, bytes]], block_size: int = BLOCK_SIZE) -> bytes:
    """The file that holds ``entries``, which must come in ascending order of their keys.

    Source:  LevelDB's table_format.md; TensorFlow's block sizes

    >>> from evenkeel.checkpoint.sstable import read_table
    >>> table = write_table([(b"a", b"1"), (b"ab", b"2")])
    >>> [(key, bytes(value)) for key, value in read_table(memoryview(table))]
    [(b'a', b'1'), (b'ab', b'2')]
    """
    out, index, block = bytearray(), _Block(1), _Block(RESTART)
    handle = last = b""
    for key, value in entries:
        if not block.count and handle:
            index.add(_between(last, key), handle)
        block.add(key, value)
        last = key
        if block.size >= block_size:
            handle, block = _flush(out, block), _Block(RESTART)
    if block.count:
        handle = _flush(out, block)
    if handle:
        index.add(_after(last), handle)
    handles = _flush(out, _Block(RESTART)) + _flush(out, index)
    return bytes(out) + handles.ljust(FOOTER - 8, b"\0") + struct.pack("<Q", MAGIC)


def _flush(out: bytearray, block: _Block) -> bytes:
    """Append a block and its trailer; its handle."""
    content = block.finish()
    handle = write_varint(len(out)) + write_varint(len(content))
    content += bytes([PLAIN])
    out += content + struct.pack("<I", masked(content))
    return handle


def _shared(left: bytes, right: bytes) -> int:
    count = min(len(left), len(right))
    return next((i for i in range(count) if left[i] != right[i]), count)


def _between(left: bytes, right: bytes) -> bytes:
    """A short key at or above ``left`` and below ``right``."""
    same = _shared(left, right)
    if same < min(len(left), len(right)) and left[same] + 1 < right[same]:
        return left[:same] + bytes([left[same] + 1])
    return left


def _after(key: bytes) -> bytes:
    """A short key at or above ``key``."""
    place = next((i for i, byte in enumerate(key) if byte != 0xFF), None)
    return key if place is None else key[:place] + bytes([key[place] + 1])
