"""Damaged and hostile files: a named error that says what and where, or an exact read; nothing runs."""

import random
from pathlib import Path
from typing import Any

import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1.graph_io.damage import place_of
from evenkeel.tf1.proto import GraphDef, MetaGraphDef, SavedModel
from tf1.graph_io.exchange import network

ALLOWED = (tf.errors.DataLossError, ValueError, OSError, TypeError)


def exported(folder: Path) -> Path:
    with tf.Graph().as_default():
        network(tf)
        tf.train.export_meta_graph(str(folder / "model.meta"))
    return folder / "model.meta"


def attempt(file: Path, data: bytes) -> str:
    """What importing these bytes says; empty where it works."""
    file.write_bytes(data)
    with tf.Graph().as_default():
        try:
            tf.train.import_meta_graph(str(file))
        except ALLOWED as error:
            return str(error) or repr(error)
    return ""


def test_a_truncated_file_says_where_it_ends(tmp_path: Path) -> None:
    whole = exported(tmp_path).read_bytes()
    file = tmp_path / "cut.meta"
    points = random.Random(1).sample(range(len(whole)), 60)
    words = [attempt(file, whole[:at]) for at in points]
    placed = [w for w in words if "Cannot parse file" in w]
    assert len(placed) > 50
    assert all("cut.meta" in w and "at byte" in w for w in placed)


def test_flipped_bytes_are_read_exactly_or_refused(tmp_path: Path) -> None:
    whole = exported(tmp_path).read_bytes()
    file, draw = tmp_path / "flipped.meta", random.Random(2)
    for _ in range(40):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        attempt(file, bytes(data))


@pytest.mark.slow
def test_many_flipped_bytes_are_read_exactly_or_refused(tmp_path: Path) -> None:
    whole = exported(tmp_path).read_bytes()
    file, draw = tmp_path / "flipped.meta", random.Random(3)
    for _ in range(600):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 1, 2, 8))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        attempt(file, bytes(data))


def test_the_place_is_the_field_and_the_offset() -> None:
    message = MetaGraphDef()
    message.graph_def.node.add(name="first", op="NoOp")
    message.graph_def.node.add(name="second", op="NoOp")
    data = bytearray(message.SerializeToString())
    at = data.index(b"second")
    data[at - 1] = 99  # the length of the name
    assert place_of(bytes(data), MetaGraphDef.DESCRIPTOR) == (
        f"MetaGraphDef.graph_def.node[1].name at byte {at}: 99 bytes wanted, 12 left"
    )
    data[at - 1] = 6
    data[at] = 0xFF
    assert "node[1].name at byte" in place_of(bytes(data), MetaGraphDef.DESCRIPTOR)
    assert place_of(message.SerializeToString(), MetaGraphDef.DESCRIPTOR) == ""


def test_messages_without_end_are_refused(tmp_path: Path) -> None:
    # AttrValue.func.attr["a"] holds an AttrValue again, and so on.
    inner = b""
    for _ in range(400):
        entry = b"\x0a\x01a\x12" + size(inner) + inner
        func = b"\x12" + size(entry) + entry
        inner = b"\x52" + size(func) + func
    attr = b"\x0a\x01a\x12" + size(inner) + inner
    node = b"\x2a" + size(attr) + attr
    graph = b"\x0a" + size(node) + node
    assert "inside one another" in attempt(tmp_path / "deep.meta", b"\x12" + size(graph) + graph)


def size(data: bytes) -> bytes:
    number, made = len(data), b""
    while number > 0x7F:
        made += bytes([number & 0x7F | 0x80])
        number >>= 7
    return made + bytes([number])


def test_nothing_runs_while_a_graph_is_imported(tmp_path: Path) -> None:
    target = tmp_path / "made"
    message = GraphDef()
    name = message.node.add(name="name", op="Const")
    name.attr["dtype"].type = 7
    name.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(str(target)))
    message.node.add(name="write", op="WriteFile", input=["name", "name"])
    call = message.node.add(name="call", op="PyFunc")
    call.attr["token"].s = b"pyfunc_0"
    call.attr["Tin"].list.SetInParent()
    call.attr["Tout"].list.type.append(1)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(message, name="")
        assert not target.exists()
        with tf.Session(graph=graph) as session, pytest.raises(tf.errors.OpError, match="pyfunc_0"):
            session.run("call:0")


@pytest.mark.parametrize(
    ("key", "words"),
    [("variables", "VariableDef"), ("cond_context", "CondContextDef"), ("savers", "SaverDef")],
)
def test_a_damaged_collection_names_itself(key: str, words: str) -> None:
    message = MetaGraphDef()
    message.collection_def[key].bytes_list.value.append(b"\x0a\x7fshort")
    with (
        tf.Graph().as_default(),
        pytest.raises(tf.errors.DataLossError, match=rf"collection '{key}' as a {words}.*at byte"),
    ):
        tf.train.import_meta_graph(message)


def test_a_collection_that_names_nothing_says_so() -> None:
    message = MetaGraphDef()
    message.collection_def["train_op"].node_list.value.append("gone")
    with tf.Graph().as_default(), pytest.raises(ValueError, match=r"'train_op'.*'gone'"):
        tf.train.import_meta_graph(message)


@pytest.mark.parametrize("kind", [GraphDef, MetaGraphDef, SavedModel])
def test_text_that_is_none_is_refused(kind: Any, tmp_path: Path) -> None:
    from evenkeel.tf1.graph_io import read_message

    file = tmp_path / "graph.pbtxt"
    file.write_text("node { name: }")
    with pytest.raises(tf.errors.DataLossError, match=r"graph\.pbtxt as the text of a"):
        read_message(file, kind)
    with pytest.raises(OSError, match="does not exist"):
        read_message(tmp_path / "none.pb", kind)
