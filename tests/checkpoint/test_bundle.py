"""Checkpoints that TensorFlow wrote; damaged, cut and lying ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evenkeel.checkpoint import Bundle, Entry, Header, write_bundle
from evenkeel.checkpoint.checksum import masked
from evenkeel.checkpoint.sstable_writer import write_table
from evenkeel.errors import BadData, UnknownName

Tensors = dict[str, NDArray[Any]]


def data_of(prefix: Path) -> Path:
    return Path(f"{prefix}.data-00000-of-00001")


def same(found: NDArray[Any], wanted: NDArray[Any]) -> bool:
    equal = found.tolist() == wanted.tolist()
    return found.dtype == wanted.dtype and found.shape == wanted.shape and equal


def test_every_dtype_that_tensorflow_wrote(recorded: Path, tensors: Tensors) -> None:
    bundle = Bundle(recorded / "small")
    assert list(bundle) == sorted(tensors)
    assert all(same(bundle[name], tensors[name]) for name in tensors)


def test_bfloat16_is_widened(recorded: Path) -> None:
    bundle = Bundle(recorded / "bf16")
    assert bundle.entries["b"].dtype_name == "bfloat16"
    assert same(bundle["b"], np.array([1.5, -2, 3.140625], np.float32))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("dnn_elu/mnist-batch-normalized-model.ckpt", 18),
        # 19 convolutions and a dense layer of kernel, gamma, beta, 2 statistics; a dense layer of
        # kernel, bias; two Adam slots for each that is trained; two powers of beta
        ("conv20_layers/model.ckpt-800", 20 * (3 * 3 + 2) + 2 * 3 + 2),
        ("conv20_trap/model.ckpt-800", 20 * (3 * 3 + 2) + 2 * 3 + 2),
    ],
)
def test_checkpoints_of_whole_programs(shared: Path, name: str, count: int) -> None:
    bundle = Bundle(shared / "oracle" / "artefacts" / name)
    assert len(bundle) == count
    assert all(np.isfinite(bundle[tensor]).all() for tensor in bundle)


def test_trained_and_untrained_statistics_differ(shared: Path) -> None:
    trained, trap = (
        Bundle(shared / "oracle" / "artefacts" / name / "model.ckpt-800")
        for name in ("conv20_layers", "conv20_trap")
    )
    mean = "batch_normalization_3/moving_mean"
    assert np.any(trained[mean])
    assert not np.any(trap[mean])


def test_numbers_are_views_of_the_file_and_cannot_be_written(tmp_path: Path) -> None:
    write_bundle(
        tmp_path / "a", {"x": np.arange(4.0), "odd": np.zeros(1, np.int8), "y": np.ones(2)}
    )
    bundle = Bundle(tmp_path / "a")
    assert not bundle["x"].flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        bundle["x"][0] = 1
    assert bundle["y"].flags.aligned  # its place in the file, byte 33, is not


def test_pieces_of_a_partitioned_variable_are_put_together(recorded: Path) -> None:
    bundle = Bundle(recorded / "parts")
    assert list(bundle) == ["part"]
    assert same(bundle["part"], np.ones((4, 3), np.float32))
    assert bundle.entries["part"].slices == (((0, 2), (0, 3)), ((2, 2), (0, 3)))


def test_a_name_that_is_not_there(recorded: Path) -> None:
    with pytest.raises(UnknownName, match="try w/kernel"):
        Bundle(recorded / "small")["w/kernl"]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("small.index", r"without its end: .*small$"),
        ("small.data-00000-of-00001", r"without its end: .*small$"),
        ("", "latest_checkpoint"),
        ("save.txt", "version 1"),
        ("nothing", "check the path"),
    ],
)
def test_a_checkpoint_that_is_not_there(recorded: Path, name: str, advice: str) -> None:
    with pytest.raises(BadData, match=advice):
        Bundle(str(recorded / name) if name else recorded)


def test_a_bit_flipped_in_the_data_is_found_and_named(recorded: Path) -> None:
    prefix = recorded / "small"
    whole = data_of(prefix).read_bytes()
    for place in range(0, len(whole), 3):
        data_of(prefix).write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        bundle, bad = Bundle(prefix), []
        for name, entry in bundle.entries.items():
            try:
                bundle[name]
            except BadData as error:
                assert f"tensor {name!r} at byte {entry.offset}" in error.at
                bad.append(name)
        assert len(bad) == 1
        hit = bundle.entries[bad[0]]
        assert hit.offset <= place < hit.offset + hit.size


def test_a_bit_flipped_in_the_index_is_found(recorded: Path, tensors: Tensors) -> None:
    index = recorded / "small.index"
    whole = index.read_bytes()
    for place in range(0, len(whole), 3):
        index.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            bundle = Bundle(recorded / "small")
        except BadData as error:
            assert str(index) in str(error)
        else:  # the padding of the footer
            assert len(whole) - 48 <= place < len(whole) - 8
            assert list(bundle) == sorted(tensors)


def test_a_cut_file_is_found_wherever_it_is_cut(recorded: Path) -> None:
    index, data = recorded / "small.index", data_of(recorded / "small")
    whole = index.read_bytes()
    for length in range(0, len(whole), 7):
        index.write_bytes(whole[:length])
        with pytest.raises(BadData):
            Bundle(recorded / "small")
    index.write_bytes(whole)
    data.write_bytes(data.read_bytes()[:100])
    bundle = Bundle(recorded / "small")
    assert same(bundle["w/kernel"], bundle["w/kernel"])  # bytes 0 to 60: still there
    with pytest.raises(BadData, match=r"tensor 'text'[\s\S]*100 bytes, \d+ wanted from byte"):
        bundle["text"]


# The checksum fits wherever there is something to sum, so that only the lie itself is wrong.
CRC = masked(bytes(24))


def entry(
    dtype: int, shape: tuple[int, ...], shard: int, offset: int, size: int, crc: int
) -> Entry:
    return Entry(dtype, shape, (), shard, offset, size, crc)


GOOD = entry(1, (2, 3), 0, 0, 24, CRC)
LIES = {
    "past the end": entry(1, (2, 3), 0, 8, 24, masked(bytes(16))),
    "far past the end": entry(1, (2, 3), 0, 2**63, 24, masked(b"")),
    "size of another shape": entry(1, (2, 4), 0, 0, 24, CRC),
    "a product past 64 bits": entry(1, (2**40, 2**40), 0, 0, 24, CRC),
    "nothing, hugely": entry(1, (2**62, 0, 2**62), 0, 0, 0, masked(b"")),
    "nothing, hugely, of strings": entry(7, (2**62, 0, 2**62), 0, 0, 4, 0),
    "rank 33": entry(1, (1,) * 33, 0, 0, 4, masked(bytes(4))),
    "a shard that is not": entry(1, (2, 3), 1, 0, 24, CRC),
    "no such dtype": entry(77, (2, 3), 0, 0, 24, CRC),
    "a resource": entry(20, (2, 3), 0, 0, 24, CRC),
    "more strings than bytes": entry(7, (2**40,), 0, 0, 24, CRC),
    "strings past the end": entry(7, (2,), 0, 0, 24, CRC),
}


def forge(prefix: Path, entry: bytes, header: bytes = Header().write(), data: bytes = b"") -> None:
    Path(f"{prefix}.index").write_bytes(write_table([(b"", header), (b"x", entry)]))
    data_of(prefix).write_bytes(data or bytes(24))


def test_what_the_forger_writes_can_be_read_when_it_is_true(tmp_path: Path) -> None:
    forge(tmp_path / "a", GOOD.write())
    assert Bundle(tmp_path / "a")["x"].shape == (2, 3)


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_index_that_lies_is_refused_before_memory_is_taken(tmp_path: Path, lie: Entry) -> None:
    forge(tmp_path / "a", lie.write())
    with pytest.raises(BadData):
        Bundle(tmp_path / "a")["x"]


def test_a_negative_size_is_refused(tmp_path: Path) -> None:
    forge(tmp_path / "a", entry(1, (2**64 - 1,), 0, 0, 24, 0).write())
    with pytest.raises(BadData, match=r"negative size, \[-1\]"):
        Bundle(tmp_path / "a")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"\x08\x00", "0 data files"),
        (b"\x08\xff\xff\xff\x0f", "data files"),
        (b"\x08\x01\x1a\x02\x10\x05", "version 5"),
        (b"\x0a\x05", "field 1"),
        (b"\x0b", "wire type 3"),
    ],
)
def test_a_header_that_cannot_be(tmp_path: Path, header: bytes, words: str) -> None:
    forge(tmp_path / "a", GOOD.write(), header)
    with pytest.raises(BadData, match=words):
        Bundle(tmp_path / "a")


def test_big_endian_checkpoints_and_several_shards(tmp_path: Path) -> None:
    values = np.arange(6, dtype=">f4").reshape(2, 3).tobytes()
    forge(
        tmp_path / "a",
        entry(1, (2, 3), 1, 0, 24, masked(values)).write(),
        Header(2, big_endian=True).write(),
    )
    (tmp_path / "a.data-00001-of-00002").write_bytes(values)
    found = Bundle(tmp_path / "a")["x"]
    assert same(found, np.arange(6, dtype=np.float32).reshape(2, 3))


def test_a_data_file_that_is_missing(recorded: Path) -> None:
    data_of(recorded / "small").unlink()
    bundle = Bundle(recorded / "small")  # lazy: nothing was asked for
    with pytest.raises(BadData, match="copy all files"):
        bundle["step"]
