"""Files as datasets, and TFRecords: written here, read here and by another reader, damaged."""

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

import evenkeel.tf1 as tf


def elements(dataset: Any, count: int = 1000) -> list[Any]:
    """What a dataset gives, to its end."""
    found: list[Any] = []
    with tf.Session(graph=dataset._variant_tensor.graph) as session:
        following = dataset.make_one_shot_iterator().get_next()
        try:
            while len(found) < count:
                found.append(session.run(following))
        except tf.errors.OutOfRangeError:
            pass
    return found


@pytest.fixture(autouse=True)
def graph() -> Any:
    with tf.Graph().as_default() as made:
        yield made


def test_lines_records_and_tfrecords(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\n\nlast")
    (tmp_path / "b.txt").write_bytes(b"x\n")
    (tmp_path / "f.bin").write_bytes(b"Haabbcc!")
    with tf.python_io.TFRecordWriter(str(tmp_path / "r.tf")) as writer:
        for record in (b"first", b"", b"third" * 1000):
            writer.write(record)
    names = [str(tmp_path / n) for n in ("a.txt", "b.txt")]
    lines = [b"one", b"two", b"", b"last", b"x"]
    assert elements(tf.data.TextLineDataset(names)) == lines
    assert elements(tf.data.TextLineDataset(tf.data.Dataset.from_tensor_slices(names))) == lines
    assert elements(tf.data.TextLineDataset(names, num_parallel_reads=2)) == [
        b"one", b"x", b"two", b"", b"last",
    ]  # fmt: skip
    fixed = tf.data.FixedLengthRecordDataset(str(tmp_path / "f.bin"), 2, 1, 1)
    assert elements(fixed) == [b"aa", b"bb", b"cc"]
    expected = [b"first", b"", b"third" * 1000]
    assert elements(tf.data.TFRecordDataset(str(tmp_path / "r.tf"))) == expected
    assert list(tf.python_io.tf_record_iterator(str(tmp_path / "r.tf"))) == expected
    assert elements(tf.data.Dataset.list_files(f"{tmp_path}/*.txt", shuffle=False)) == [
        n.encode() for n in names
    ]
    with pytest.raises(tf.errors.InvalidArgumentError):
        elements(tf.data.Dataset.list_files(f"{tmp_path}/*.none"))
    with pytest.raises(tf.errors.NotFoundError):
        elements(tf.data.TextLineDataset("/nowhere/at/all"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="not an exact multiple"):
        elements(tf.data.FixedLengthRecordDataset(str(tmp_path / "f.bin"), 3))


def test_packed_files(tmp_path: Path) -> None:
    kind = tf.python_io.TFRecordCompressionType
    for packing, name in ((kind.GZIP, "GZIP"), (kind.ZLIB, "ZLIB")):
        path = str(tmp_path / name)
        options = tf.python_io.TFRecordOptions(packing)
        with tf.python_io.TFRecordWriter(path, options) as writer:
            writer.write(b"inside")
            writer.flush()
            writer.write(b"more")
        assert elements(tf.data.TFRecordDataset(path, name)) == [b"inside", b"more"]
        assert list(tf.python_io.tf_record_iterator(path, options)) == [b"inside", b"more"]
    unpacked = gzip.decompress((tmp_path / "GZIP").read_bytes())
    assert unpacked == zlib.decompress((tmp_path / "ZLIB").read_bytes())
    (tmp_path / "t.gz").write_bytes(gzip.compress(b"a\nb\n"))
    assert elements(tf.data.TextLineDataset(str(tmp_path / "t.gz"), "GZIP")) == [b"a", b"b"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unsupported compression"):
        elements(tf.data.TextLineDataset(str(tmp_path / "t.gz"), "ZIP"))


def test_every_damage_to_a_tfrecord_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with tf.python_io.TFRecordWriter(str(path)) as writer:
        writer.write(b"abc")
    whole = path.read_bytes()
    assert struct.unpack("<Q", whole[:8]) == (3,)
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(tf.errors.DataLossError):
            list(tf.python_io.tf_record_iterator(str(path)))
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(tf.errors.DataLossError):
            list(tf.python_io.tf_record_iterator(str(path)))


def test_a_reader_takes_files_from_a_queue(tmp_path: Path) -> None:
    (tmp_path / "0.bin").write_bytes(b"haabb")
    (tmp_path / "1.bin").write_bytes(b"hcc")
    (tmp_path / "t.txt").write_bytes(b"head\nbody\n")
    names = [str(tmp_path / "0.bin"), str(tmp_path / "1.bin")]
    queue = tf.train.string_input_producer(names, num_epochs=1, shuffle=False)
    key, value = tf.FixedLengthRecordReader(2, header_bytes=1).read(queue)
    pixels = tf.reshape(tf.decode_raw(value, tf.uint8), [2])
    batch = tf.train.batch([pixels, key], 2, allow_smaller_final_batch=True)
    found = []
    with tf.train.MonitoredSession() as session:
        while not session.should_stop():
            found.append(session.run(batch))
    assert [b[0].tolist() for b in found] == [[[97, 97], [98, 98]], [[99, 99]]]
    assert found[1][1].tolist() == [f"{names[1]}:0".encode()]
    with tf.Graph().as_default():
        text = tf.train.string_input_producer(
            [str(tmp_path / "t.txt")], shuffle=False, num_epochs=1
        )
        line = tf.TextLineReader(skip_header_lines=1).read(text)
        whole = tf.WholeFileReader().read(text)
        with tf.Session() as session:
            session.run(tf.local_variables_initializer())
            coord = tf.train.Coordinator()
            threads = tf.train.start_queue_runners(session, coord)
            assert session.run(line)[1] == b"body"
            with pytest.raises(tf.errors.OutOfRangeError):
                session.run(whole)
            coord.request_stop()
            coord.join(threads)


def test_whole_files(tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "w")
    write, content = tf.write_file(path, "text"), tf.read_file(path)
    with tf.Session() as session:
        with pytest.raises(tf.errors.NotFoundError):
            session.run(content)
        session.run(write)
        assert session.run(content) == b"text"
        assert session.run(tf.matching_files(f"{tmp_path}/*/w")).tolist() == [path.encode()]


def test_files_that_are_not_what_they_are_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"a\nb\n")
    (tmp_path / "cut").write_bytes(gzip.compress(b"a\nb\n" * 1000)[:-9])
    with pytest.raises(tf.errors.FailedPreconditionError, match="Is a directory"):
        elements(tf.data.TextLineDataset(str(tmp_path)))
    for name, packing in (("plain", "GZIP"), ("cut", "GZIP"), ("plain", "ZLIB")):
        with pytest.raises(tf.errors.DataLossError, match=f"{name}: not whole {packing} data"):
            elements(tf.data.TextLineDataset(str(tmp_path / name), packing), 2000)
    with pytest.raises(tf.errors.DataLossError, match="plain: not whole ZLIB"):
        list(tf.python_io.tf_record_iterator(str(tmp_path / "plain"), "ZLIB"))
    with tf.Session() as session:
        with pytest.raises(tf.errors.FailedPreconditionError, match="Is a directory"):
            session.run(tf.read_file(str(tmp_path)))
        with pytest.raises(tf.errors.OpError, match=r"File exists|Not a directory"):
            session.run(tf.write_file(str(tmp_path / "plain" / "x"), "a"))
        with pytest.raises(tf.errors.InvalidArgumentError, match="cannot identify image file\n"):
            session.run(tf.image.decode_png(b"no image"))


def test_what_a_writer_of_records_refuses(tmp_path: Path) -> None:
    writer = tf.python_io.TFRecordWriter(str(tmp_path / "r"))
    with pytest.raises(TypeError, match="bytes or text, but got int"):
        writer.write(5)
    writer.close()
    for call in (lambda: writer.write(b"x"), writer.flush):
        with pytest.raises(tf.errors.FailedPreconditionError, match="previously closed"):
            call()
    assert (tmp_path / "r").read_bytes() == b""


def test_the_level_of_gzip_is_taken(tmp_path: Path) -> None:
    sizes = []
    for level in (0, 9):
        options = tf.python_io.TFRecordOptions("GZIP", compression_level=level)
        with tf.python_io.TFRecordWriter(str(tmp_path / "r"), options) as writer:
            writer.write(b"x" * 10000)
        sizes.append((tmp_path / "r").stat().st_size)
    assert sizes[0] > 10000 > 200 > sizes[1]


def test_numbers_that_must_be_positive() -> None:
    numbers = tf.data.Dataset.range(4)
    batched = tf.data.experimental.map_and_batch
    for made in (
        numbers.map(lambda x: x, num_parallel_calls=0),
        numbers.map(lambda x: x, num_parallel_calls=-5),
        numbers.interleave(tf.data.Dataset.range, cycle_length=0),
        numbers.interleave(tf.data.Dataset.range, cycle_length=1, block_length=0),
        numbers.apply(batched(lambda x: x, 0)),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match="must be greater than zero"):
            elements(made)


def test_an_option_of_datasets_that_is_not_there() -> None:
    options = tf.data.Options()
    with pytest.raises(AttributeError, match="Cannot set the property autotune on Options"):
        options.autotune = True
    with pytest.raises(AttributeError, match="property fusion on OptimizationOptions"):
        options.experimental_optimization.fusion = True
