"""Tables of sorted keys: any entries come back, any other bytes are refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.checkpoint.checksum import masked
from evenkeel.checkpoint.sstable import MAGIC, read_table
from evenkeel.checkpoint.sstable_writer import write_table
from evenkeel.checkpoint.wire import write_varint
from evenkeel.errors import BadData

KEYS = st.dictionaries(st.binary(max_size=12), st.binary(max_size=9), max_size=60)


def table_of(block: bytes, kind: int = 0) -> memoryview:
    """A table whose one data block is ``block``, with checksums that fit."""
    content = block + bytes([kind])
    data = content + struct.pack("<I", masked(content))
    handle = write_varint(0) + write_varint(len(block))
    index = bytes([0, 1, len(handle)]) + b"z" + handle + struct.pack("<II", 0, 1)
    place, content = len(data), index + b"\0"
    data += content + struct.pack("<I", masked(content))
    footer = 2 * (write_varint(place) + write_varint(len(index)))
    return memoryview(data + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC))


@given(KEYS, st.sampled_from([1, 40, 262144]))
def test_entries_come_back_in_order(entries: dict[bytes, bytes], block_size: int) -> None:
    table = write_table(sorted(entries.items()), block_size)
    found = [(key, bytes(value)) for key, value in read_table(memoryview(table))]
    assert found == sorted(entries.items())


@given(st.binary(max_size=60))
def test_any_block_is_read_or_refused(block: bytes) -> None:
    try:
        list(read_table(table_of(block)))
    except BadData:
        return


RESTARTS = struct.pack("<II", 0, 1)


def test_a_block_by_hand() -> None:
    block = b"\x00\x02\x01abX" + b"\x01\x01\x00c" + RESTARTS
    assert [(k, bytes(v)) for k, v in read_table(table_of(block))] == [(b"ab", b"X"), (b"ac", b"")]


@pytest.mark.parametrize(
    ("block", "kind", "words"),
    [
        (b"\x00\x01\x00b" + b"\x00\x01\x00a" + RESTARTS, 0, "key b'a' after b'b'"),
        (b"\x05\x01\x00b" + RESTARTS, 0, "key of 5"),
        (b"\x00\xff\xff\xff\xff\x0f\x00b" + RESTARTS, 0, "less is left"),
        (struct.pack("<I", 9), 0, "9 restarts"),
        (b"", 0, "a block of 0 bytes"),
        (RESTARTS, 1, "not snappy"),
        (RESTARTS, 9, "compression 9"),
    ],
)
def test_what_is_wrong_with_a_block_is_said(block: bytes, kind: int, words: str) -> None:
    with pytest.raises(BadData, match=words):
        list(read_table(table_of(block, kind)))


def test_a_block_past_the_end_is_not_read() -> None:
    footer = b"\0\0" + write_varint(0) + write_varint(2**63)
    with pytest.raises(BadData, match="a block of"):
        list(read_table(memoryview(footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC))))
