"""Numbers and fields of protocol buffers, and whatever bytes somebody sends instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.checkpoint.entries import Entry, Header
from evenkeel.checkpoint.wire import fields, read_varint, write_varint
from evenkeel.errors import BadData


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_a_number_comes_back(number: int, before: bytes) -> None:
    data = before + write_varint(number)
    assert read_varint(memoryview(data), len(before)) == (number, len(data))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 11, b"\xff" * 9 + b"\x02"])
def test_a_number_that_does_not_end_or_fit(data: bytes) -> None:
    with pytest.raises(BadData, match="at byte 0"):
        read_varint(memoryview(data), 0)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    for read in (lambda m: list(fields(m)), Entry.read, Header.read):
        try:
            read(memoryview(data))
        except BadData:
            continue


@given(st.integers(0, 100), st.lists(st.integers(0, 2**11), max_size=5), st.integers(0, 2**32 - 1))
def test_an_entry_comes_back(dtype: int, shape: list[int], crc: int) -> None:
    entry = Entry(dtype, tuple(shape), (), 3, 10, 20, crc)
    assert Entry.read(memoryview(entry.write())) == entry
