"""What is written: TensorFlow's bytes, whole or not at all, and readable by TensorFlow."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from evenkeel.checkpoint import Bundle, recovery, write_bundle
from evenkeel.checkpoint.dtypes import STORED
from evenkeel.checkpoint.files import put_in_place
from evenkeel.errors import BadData, BadDtype, BadOption, DuplicateRow, UnknownName

Tensors = dict[str, NDArray[Any]]
ENDS = (".index", ".data-00000-of-00001")
ARRAYS = st.sampled_from(sorted({str(kind) for kind in STORED.values()})).flatmap(
    lambda name: arrays(np.dtype(name), array_shapes(min_dims=0, min_side=0, max_side=4))
)


def test_the_bytes_are_tensorflows(recorded: Path, tensors: Tensors, tmp_path: Path) -> None:
    write_bundle(tmp_path / "mine", tensors)
    for end in ENDS:
        assert (tmp_path / f"mine{end}").read_bytes() == (recorded / f"small{end}").read_bytes()


@pytest.mark.parametrize(
    "name", ["dnn_elu/mnist-batch-normalized-model.ckpt", "conv20_layers/model.ckpt-800"]
)
def test_the_bytes_of_whole_programs(shared: Path, tmp_path: Path, name: str) -> None:
    theirs = shared / "oracle" / "artefacts" / name
    bundle = Bundle(theirs)
    order = sorted(bundle, key=lambda tensor: bundle.entries[tensor].offset)
    write_bundle(tmp_path / "mine", ((tensor, bundle[tensor]) for tensor in order))
    for end in ENDS:
        assert (tmp_path / f"mine{end}").read_bytes() == Path(f"{theirs}{end}").read_bytes()


def test_the_bytes_of_an_index_of_several_blocks(tmp_path: Path) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz" * 3
    names = [f"layer_{i:05d}/{letters}/kernel_of_the_layer_number_{i}" for i in range(4000)]
    write_bundle(tmp_path / "many", [(name, np.arange(2, dtype=np.float32)) for name in names])
    index = (tmp_path / "many.index").read_bytes()
    # What TensorFlow 1.15.5 wrote: 537,165 bytes, three blocks (recorded/checkpoint/save.txt).
    sum_ = "efb21f93ef6458db720dbfa313ab5824b5a4edfa0de08f0764b7d6e6d5372a13"
    assert hashlib.sha256(index).hexdigest() == sum_
    assert list(Bundle(tmp_path / "many")) == names


@given(st.dictionaries(st.text(min_size=1, max_size=6), ARRAYS, max_size=4))
def test_save_then_load_is_identity(
    tmp_path_factory: pytest.TempPathFactory, tensors: Tensors
) -> None:
    prefix = tmp_path_factory.mktemp("law") / "a"
    write_bundle(prefix, tensors)
    bundle = Bundle(prefix)
    assert set(bundle) == set(tensors)
    for name, wanted in tensors.items():
        found = bundle[name]
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        assert found.tobytes() == wanted.tobytes()


def test_strings_given_as_text_and_fixed_bytes(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", {"s": np.array(["é", ""]), "b": np.array(b"xy"), "one": "word"})
    bundle = Bundle(tmp_path / "a")
    assert bundle["s"].tolist() == ["é".encode(), b""]
    assert (bundle["b"].item(), bundle["one"].item()) == (b"xy", b"word")


def test_memory_order_and_byte_order_do_not_matter(tmp_path: Path) -> None:
    x = np.arange(6.0).reshape(2, 3)
    write_bundle(
        tmp_path / "a", {"f": np.asfortranarray(x), "big": x.astype(">f8"), "cut": x[:, ::2]}
    )
    bundle = Bundle(tmp_path / "a")
    np.testing.assert_array_equal(bundle["f"], x)
    np.testing.assert_array_equal(bundle["big"], x)
    np.testing.assert_array_equal(bundle["cut"], x[:, ::2])


def test_what_cannot_be_saved_leaves_what_was_there(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", {"x": np.ones(2)})
    with pytest.raises(BadDtype, match=r"datetime64[\s\S]*float32"):
        write_bundle(tmp_path / "a", {"x": np.array("2020", "M8[Y]")})
    with pytest.raises(DuplicateRow, match="twice: 'x'"):
        write_bundle(tmp_path / "a", [("x", np.ones(1)), ("x", np.ones(1))])
    with pytest.raises(DuplicateRow, match="empty name"):
        write_bundle(tmp_path / "a", {"": np.ones(1)})
    for name in (3, "\ud800"):
        with pytest.raises(BadOption, match="text that UTF-8 can hold"):
            write_bundle(tmp_path / "a", [(cast("str", name), np.ones(1))])
    for odd in (None, np.array([3], object), np.array([b"x", 1.5], object)):
        with pytest.raises(BadDtype, match="objects of tensor 'y'"):
            write_bundle(tmp_path / "a", {"x": np.ones(2), "y": odd})
    with pytest.raises(UnknownName, match="not saved"):
        write_bundle(tmp_path / "a", {"x": np.ones(2)}, dtypes={"y": "bfloat16"})
    assert Bundle(tmp_path / "a")["x"].tolist() == [1, 1]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadData, match="cannot be written"):
        write_bundle(tmp_path / "file" / "a", {"x": np.ones(1)})


def test_a_reader_between_the_renames_sees_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, seen = tmp_path / "a", []
    write_bundle(prefix, {"x": np.zeros(3)})

    def place_and_read(path: Path) -> None:
        put_in_place(path)
        seen.append(Bundle(prefix)["x"].tolist())

    monkeypatch.setattr(recovery, "put_in_place", place_and_read)
    write_bundle(prefix, {"x": np.ones(2)})
    assert len(seen) > 1
    assert all(values == [1, 1] for values in seen)


KILL = """
import os, sys
import numpy as np
from evenkeel.checkpoint import Bundle, write_bundle
prefix = sys.argv[1]
old = {"x": np.zeros(3), "y": np.ones(1)}
new = {"x": np.ones(4), "t": np.array([b"new"])}

def killed_at(moment):
    '''Save in a child that ends without a word at its nth system call of writing.'''
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    calls = iter(range(moment))
    def counted(call):
        def run(*arguments):
            if next(calls, None) is None:
                os._exit(9)
            return call(*arguments)
        return run
    os.replace = os.rename = counted(os.replace)
    os.fsync = counted(os.fsync)
    try:
        write_bundle(prefix, new)
    finally:
        os._exit(0)

def state():
    bundle = Bundle(prefix)
    return {name: bundle[name].tolist() for name in bundle}

was, is_ = ({k: v.tolist() for k, v in t.items()} for t in (old, new))
moment, seen = 0, []
while True:
    write_bundle(prefix, old)
    assert state() == was
    killed = killed_at(moment)
    found = state()
    assert found in (was, is_), found
    seen.append("new" if found == is_ else "old")
    write_bundle(prefix, old)
    killed_at(moment), killed_at(0)  # and again, before anybody looked
    assert state() in (was, is_)
    if not killed:
        write_bundle(prefix, new)
        break
    moment += 1
print(" ".join(seen))
"""


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILL, str(tmp_path / "model.ckpt")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-1500:]
    # fsync and fsync of the parts, replace of the data; from then on the new one stands.
    assert done.stdout.split() == ["old", "old", "old", "new", "new", "new", "new"]
    assert [p.name for p in sorted(tmp_path.iterdir())] == [
        "model.ckpt.data-00000-of-00001",
        "model.ckpt.index",
    ]


RESTORE = """
import numpy as np, tensorflow as tf
from tensorflow.python import pywrap_tensorflow
reader = pywrap_tensorflow.NewCheckpointReader("./mine")
for name in sorted(reader.get_variable_to_shape_map()):
    print(name, reader.get_variable_to_shape_map()[name])
w = tf.get_variable("w/kernel", [3, 5]); s = tf.get_variable("step", [], tf.int64)
with tf.Session() as session:
    tf.train.Saver().restore(session, "./mine")
    print(repr(session.run(w).tolist()), session.run(s))
    print(session.run(tf.raw_ops.RestoreV2(prefix="./mine", tensor_names=["text"],
          shape_and_slices=[""], dtypes=[tf.string]))[0].tolist())
"""


@pytest.mark.slow
def test_tensorflow_restores_it(
    tmp_path: Path, tensors: Tensors, tensorflow: Callable[[str], str]
) -> None:
    write_bundle(tmp_path / "mine", tensors)
    lines = tensorflow(RESTORE).splitlines()
    assert lines[:-2] == [f"{name} {list(tensors[name].shape)}" for name in sorted(tensors)]
    assert lines[-2] == f"{tensors['w/kernel'].tolist()} 7"
    assert lines[-1] == str(tensors["text"].tolist())
