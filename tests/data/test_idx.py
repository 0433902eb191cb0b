"""idx files: the byte table is the oracle; no damage may surface as anything but BadData."""

import gzip
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from evenkeel.data import read_idx, write_idx
from evenkeel.errors import BadData

# Written by hand after the byte table: uint8, rank 2, 2 by 3.
PLAIN = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])
PACKED = gzip.compress(PLAIN, mtime=0)
VALUES = [[1, 2, 3], [4, 5, 6]]
DTYPES = ["u1", "i1", "i2", "i4", "f4", "f8"]

# One file rewritten by every example is what these properties want.
again = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def put(folder: Path, content: bytes) -> Path:
    path = folder / "values"
    path.write_bytes(content)
    return path


def refused(folder: Path, content: bytes) -> BadData:
    path = put(folder, content)
    with pytest.raises(BadData) as caught:
        read_idx(path)
    assert caught.value.at == str(path)
    return caught.value


@pytest.mark.parametrize("content", [PLAIN, PACKED])
@pytest.mark.parametrize("name", ["values", "values.gz"])
def test_the_content_decides_not_the_name(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    values = read_idx(path)
    assert values.tolist() == VALUES
    assert values.dtype == np.uint8
    assert values.flags.writeable


def test_numbers_are_big_endian(tmp_path: Path) -> None:
    int16 = read_idx(put(tmp_path, bytes([0, 0, 0x0B, 1, 0, 0, 0, 2, 1, 2, 0xFF, 0xFE])))
    assert int16.tolist() == [258, -2]
    float32 = read_idx(put(tmp_path, bytes([0, 0, 0x0D, 1, 0, 0, 0, 1, 0x3F, 0xC0, 0, 0])))
    assert float32.tolist() == [1.5]


@pytest.mark.parametrize("whole", [PLAIN, PACKED], ids=["plain", "gzip"])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, whole: bytes) -> None:
    for length in range(len(whole)):
        refused(tmp_path, whole[:length])


@pytest.mark.parametrize(
    "content",
    [PLAIN + b"\0", PACKED + b"trailing", gzip.compress(PLAIN + b"\0"), PACKED + PACKED],
    ids=["plain", "after the gzip", "inside the gzip", "twice"],
)
def test_trailing_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    refused(tmp_path, content)


def test_every_flipped_bit_of_a_gzip_is_noticed_or_harmless(tmp_path: Path) -> None:
    noticed = 0
    for bit in range(8 * len(PACKED)):
        changed = bytearray(PACKED)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            assert read_idx(put(tmp_path, bytes(changed))).tolist() == VALUES
        except BadData:
            noticed += 1
    assert noticed > 4 * len(PACKED)


@again
@given(place=st.integers(0, len(PLAIN) - 1), byte=st.integers(0, 255))
def test_any_changed_byte_gives_an_array_or_bad_data(tmp_path: Path, place: int, byte: int) -> None:
    content = PLAIN[:place] + bytes([byte]) + PLAIN[place + 1 :]
    try:
        assert read_idx(put(tmp_path, content)).size == 6
    except BadData:
        assert place < 12


@again
@given(content=st.binary(max_size=64), magic=st.sampled_from([b"", b"\0\0\x08", b"\x1f\x8b\x08"]))
def test_arbitrary_bytes_never_give_another_error(
    tmp_path: Path, content: bytes, magic: bytes
) -> None:
    with suppress(BadData):
        read_idx(put(tmp_path, magic + content))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("rank", [1, 2, 3, 32])
def test_a_hostile_size_takes_no_memory(tmp_path: Path, pack: type[bytes], rank: int) -> None:
    content = pack(bytes([0, 0, 0x0E, rank]) + b"\xff" * 4 * rank + b"few values")
    tracemalloc.start()
    error = refused(tmp_path, content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "4294967295" in str(error)
    assert peak < 1 << 20


def test_a_gzip_that_expands_without_end_is_not_expanded(tmp_path: Path) -> None:
    content = gzip.compress(PLAIN + bytes(100_000_000))
    tracemalloc.start()
    error = refused(tmp_path, content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "more than 6 bytes" in str(error)
    assert peak < 1 << 20


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ([0, 0, 8, 0], "0 announced"),
        ([0, 0, 8, 33, *[0, 0, 0, 1] * 33, 5], "33 announced"),
        ([0, 0, 8, 2, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF], "[0, 4294967295] found"),
        ([0, 0, 8, 3, 0, 0, 0, 1, 0, 0], "3 announced, [1] found"),
    ],
)
def test_impossible_sizes_are_named(tmp_path: Path, header: list[int], found: str) -> None:
    assert found in str(refused(tmp_path, bytes(header)))


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"", "fetch it again"),
        (b"PK\x03\x04 and so on", "zip"),
        (b"\x93NUMPY\x01\x00", ".npy"),
        (b"\x89PNG\r\n", "PNG"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (gzip.compress(PACKED, mtime=0), "gunzip once"),
        (b"\x03\x08\0\0\x10\0\0\0", "little-endian"),
        (b"\0\0\x07\x01\0\0\0\x01\0", "right file"),
    ],
)
def test_the_likely_slip_is_named(tmp_path: Path, content: bytes, advice: str) -> None:
    assert advice in refused(tmp_path, content).do


def test_a_missing_file_and_a_folder_are_bad_data(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="No such file"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(BadData, match="Is a directory"):
        read_idx(tmp_path)


@again
@given(data=st.data(), dtype=st.sampled_from(DTYPES), order=st.sampled_from("<>"))
@pytest.mark.parametrize("name", ["values", "values.gz"])
def test_what_is_written_is_read(
    tmp_path: Path, data: st.DataObject, dtype: str, order: str, name: str
) -> None:
    shape = data.draw(array_shapes(max_dims=4, max_side=4))
    values = data.draw(arrays(np.dtype(order + dtype), shape))
    write_idx(tmp_path / name, values)
    back = read_idx(tmp_path / name)
    assert back.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(back, values)


def test_written_bytes_are_those_of_the_table_and_of_every_time(tmp_path: Path) -> None:
    write_idx(tmp_path / "plain", np.array(VALUES, np.uint8))
    write_idx(tmp_path / "packed.gz", np.array(VALUES, np.uint8))
    assert (tmp_path / "plain").read_bytes() == PLAIN
    assert (tmp_path / "packed.gz").read_bytes() == PACKED


@pytest.mark.parametrize(
    "values", [np.zeros(3, np.int64), np.zeros((2, 0), np.uint8), np.array(1, np.uint8)]
)
def test_what_idx_cannot_hold_is_not_written(tmp_path: Path, values: NDArray[Any]) -> None:
    with pytest.raises(BadData, match="cannot hold"):
        write_idx(tmp_path / "values", values)
    assert not (tmp_path / "values").exists()
