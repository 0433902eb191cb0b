"""Checkpoints of version 1: those that TensorFlow wrote, ours, and damaged ones."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cramjam
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evenkeel.checkpoint import V1Checkpoint, latest_checkpoint, open_checkpoint, write_v1
from evenkeel.checkpoint.checksum import masked
from evenkeel.checkpoint.slices import piece_key
from evenkeel.checkpoint.sstable import MAGIC, Table
from evenkeel.checkpoint.sstable_writer import write_table
from evenkeel.checkpoint.v1_values import read_values, varints
from evenkeel.checkpoint.wire import bytes_field, number_field, write_varint
from evenkeel.errors import BadData, BadDtype, UnknownName

Tensors = dict[str, NDArray[Any]]
QUANTIZED = ("q8", "qu8", "q32")


def test_every_dtype_that_tensorflow_wrote(recorded: Path, more: Tensors) -> None:
    checkpoint = open_checkpoint(recorded / "v1")
    assert isinstance(checkpoint, V1Checkpoint)
    assert sorted(checkpoint) == sorted(more)
    for name, wanted in more.items():
        assert (checkpoint[name].dtype, checkpoint[name].shape) == (wanted.dtype, wanted.shape)
        assert checkpoint[name].tolist() == wanted.tolist()


def test_shards_by_their_pattern(recorded: Path) -> None:
    checkpoint = open_checkpoint(recorded / "v1shards-?????-of-00003")
    assert {name: checkpoint[name].tolist() for name in checkpoint} == {
        "a": [0.0] * 3,
        "b": [[1.0] * 2] * 2,
        "c": [[1.0] * 3] * 4,
    }
    (recorded / "checkpoint").write_text('model_checkpoint_path: "v1shards-?????-of-00003"')
    assert latest_checkpoint(recorded) == checkpoint.prefix


def test_the_bytes_are_tensorflows(recorded: Path, more: Tensors, tmp_path: Path) -> None:
    plain = {name: values for name, values in more.items() if name not in QUANTIZED}
    write_v1(tmp_path / "mine", plain)
    mine, theirs = (
        dict(Table(memoryview(folder.joinpath(name).read_bytes())))
        for folder, name in ((tmp_path, "mine"), (recorded, "v1"))
    )
    for name, values in plain.items():
        key = piece_key(name, ((0, -1),) * values.ndim)
        assert bytes(mine[key]) == bytes(theirs[key]), name


def test_a_name_that_is_not_there(recorded: Path) -> None:
    with pytest.raises(UnknownName, match="try w/kernel"):
        open_checkpoint(recorded / "v1")["w/kernl"]


def test_a_shard_that_is_missing(recorded: Path) -> None:
    (recorded / "v1shards-00000-of-00003").unlink()
    checkpoint = open_checkpoint(recorded / "v1shards-?????-of-00003")
    assert sorted(checkpoint) == ["a", "b"]  # nothing in the others says that there was a c


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_types_that_version_1_has_not(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(BadDtype, match="version 2"):
        write_v1(tmp_path / "a", {"x": np.ones(1, dtype)})


@given(st.lists(st.integers(0, 2**64 - 1), max_size=9))
def test_numbers_come_back(numbers: list[int]) -> None:
    packed = b"".join(map(write_varint, numbers))
    assert varints(memoryview(packed)).tolist() == numbers


@given(st.binary(max_size=30))
def test_any_bytes_are_values_or_refused(data: bytes) -> None:
    for dtype in (1, 3, 7, 9, 14, 19):
        try:
            assert read_values(memoryview(data), dtype, (2,)).shape == (2,)
        except BadData:
            continue


def test_values_that_are_not_packed_and_raw_ones() -> None:
    one = np.float32(2).tobytes()
    unpacked = b"\x2d" + one + b"\x2d" + one  # field 5, wire type 5, twice
    assert read_values(memoryview(unpacked), 1, (2,)).tolist() == [2, 2]
    assert read_values(memoryview(b"\x38\x05\x38\x07"), 3, (2,)).tolist() == [5, 7]
    assert read_values(memoryview(bytes_field(4, one * 3)), 1, (3,)).tolist() == [2, 2, 2]


def forge(path: Path, meta: bytes, rows: dict[bytes, bytes]) -> None:
    path.write_bytes(write_table([(b"", bytes_field(1, meta)), *sorted(rows.items())]))


def tensor(shape: tuple[int, ...], *slices: bytes, dtype: int = 1) -> bytes:
    sizes = b"".join(bytes_field(2, number_field(1, size)) for size in shape)
    head = bytes_field(1, b"x") + bytes_field(2, sizes) + number_field(3, dtype)
    return bytes_field(1, head + b"".join(bytes_field(4, s) for s in slices))


ALL = bytes_field(1, b"")  # a slice of one axis, whole
TWO = bytes_field(2, bytes_field(1, b"x") + bytes_field(3, bytes_field(5, bytes(8))))
LIES = {
    "more values than there are": (tensor((2**40,), ALL), {((0, -1),): TWO}),
    "no value": (tensor((2,), ALL), {}),
    "another rank": (tensor((2, 2), ALL), {((0, -1),): TWO}),
    "no pieces": (tensor((2,)), {}),
    "no such type": (tensor((2,), ALL, dtype=77), {((0, -1),): TWO}),
    "texts that are numbers": (tensor((2,), ALL, dtype=7), {((0, -1),): TWO}),
    "odd bytes": (
        tensor((2,), ALL),
        {((0, -1),): bytes_field(2, bytes_field(3, bytes_field(5, bytes(7))))},
    ),
}


@pytest.mark.parametrize(("meta", "rows"), LIES.values(), ids=LIES)
def test_a_table_of_contents_that_lies(tmp_path: Path, meta: bytes, rows: dict[Any, bytes]) -> None:
    forge(tmp_path / "a", meta, {piece_key("x", key): value for key, value in rows.items()})
    with pytest.raises(BadData, match="tensor 'x'"):
        open_checkpoint(tmp_path / "a")["x"]


def test_what_is_no_checkpoint_of_version_1(tmp_path: Path, recorded: Path) -> None:
    (tmp_path / "a").write_bytes(write_table([(b"k", b"v")]))
    with pytest.raises(BadData, match="no table of contents"):
        open_checkpoint(tmp_path / "a")
    forge(tmp_path / "a", bytes_field(2, number_field(2, 9)), {})
    with pytest.raises(BadData, match="newer than version 1"):
        open_checkpoint(tmp_path / "a")
    forge(tmp_path / "a", tensor((2,), ALL) + tensor((3,), ALL), {})
    with pytest.raises(BadData, match="tensor 'x' as float32 and as float32"):
        open_checkpoint(tmp_path / "a")
    with pytest.raises(BadData, match="without its end"):
        open_checkpoint(recorded / "small.index")


def packed(path: Path, claim: int | None = None) -> None:
    """Compress every block of a table, as a writer with snappy would."""
    out, handles = bytearray(), b""
    index = bytearray()
    for count, (key, value) in enumerate(Table(memoryview(path.read_bytes()))):
        block = (
            write_varint(0) + write_varint(len(key)) + write_varint(len(value)) + key + bytes(value)
        )
        handle = _append(out, block + struct.pack("<II", 0, 1), claim)
        index += write_varint(0) + write_varint(len(key)) + write_varint(len(handle)) + key + handle
        assert count < 200
    empty = _append(out, struct.pack("<II", 0, 1), None)
    handles = empty + _append(out, bytes(index) + struct.pack("<II", 0, 1), None)
    path.write_bytes(bytes(out) + handles.ljust(40, b"\0") + struct.pack("<Q", MAGIC))


def _append(out: bytearray, block: bytes, claim: int | None) -> bytes:
    body = bytes(cramjam.snappy.compress_raw(block))
    if claim is not None:
        rest = body[len(write_varint(len(block))) :]
        body = write_varint(claim) + rest
    handle = write_varint(len(out)) + write_varint(len(body))
    body += b"\1"
    out += body + struct.pack("<I", masked(body))
    return handle


@pytest.mark.parametrize("name", ["v1", "small.index"])
def test_compressed_blocks_are_read(recorded: Path, name: str) -> None:
    prefix = recorded / name.removesuffix(".index")
    before = open_checkpoint(prefix)
    wanted = {key: before[key].tolist() for key in before}
    packed(recorded / name)
    after = open_checkpoint(prefix)
    assert {key: after[key].tolist() for key in after} == wanted


@pytest.mark.parametrize(("claim", "words"), [(2**31, "claims 2147483648"), (1, "not snappy")])
def test_a_block_that_lies_about_its_size(recorded: Path, claim: int, words: str) -> None:
    packed(recorded / "v1", claim)
    with pytest.raises(BadData, match=words):
        open_checkpoint(recorded / "v1")


RESTORE = """
import tensorflow as tf
names, kinds = ["w/kernel", "i32", "i8", "text", "p"], ["float32", "int32", "int8", "string", "float32"]
read = tf.raw_ops.RestoreV2(prefix="./mine", tensor_names=names, shape_and_slices=[""]*5, dtypes=kinds)
with tf.Session() as session:
    for name, values in zip(names, session.run(read)):
        print(name, values.tolist())
"""


@pytest.mark.slow
def test_tensorflow_reads_ours(
    tmp_path: Path, more: Tensors, tensorflow: Callable[[str], str]
) -> None:
    from evenkeel.checkpoint import Piece

    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    parts = [Piece(values[:1], (3, 2), (0, 0)), Piece(values[1:], (3, 2), (1, 0))]
    plain = [(name, value) for name, value in more.items() if name not in QUANTIZED]
    write_v1(tmp_path / "mine", [*plain, *(("p", part) for part in parts)])
    wanted = more | {"p": values}
    lines = [f"{name} {wanted[name].tolist()}" for name in ("w/kernel", "i32", "i8", "text", "p")]
    assert tensorflow(RESTORE).splitlines() == lines
