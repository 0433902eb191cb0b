"""The networks that TensorFlow 1.15.5 trained and saved: meta graph with checkpoint, frozen graph."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1.graph_io import read_message
from evenkeel.tf1.proto import CondContextDef, MetaGraphDef, VariableDef


def pictures(shared: Path, name: str, count: int) -> Any:
    with gzip.open(shared / "data" / "mnist" / f"{name}-images-idx3-ubyte.gz") as file:
        raw = np.frombuffer(file.read(16 + 784 * count), np.uint8, offset=16)
    return raw.reshape(-1, 28, 28, 1) / np.float32(255)


def digits(shared: Path, name: str, count: int) -> Any:
    with gzip.open(shared / "data" / "mnist" / f"{name}-labels-idx1-ubyte.gz") as file:
        return np.frombuffer(file.read(8 + count), np.uint8, offset=8)


@pytest.fixture
def conv20(shared: Path) -> Path:
    return shared / "oracle" / "artefacts" / "conv20_layers"


def expected(folder: Path) -> tuple[Any, str, str, str]:
    with np.load(folder / "expected.npz") as file:
        names = [str(file[k]) for k in ("inputs_name", "training_name", "logits_name")]
        return file["logits"], *names


def test_the_frozen_graph_gives_tensorflows_logits(conv20: Path, shared: Path) -> None:
    logits, x, training, out = expected(conv20)
    message = tf.GraphDef.FromString((conv20 / "frozen.pb").read_bytes())
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(message, name="")
        found = session.run(out, {x: pictures(shared, "t10k", 64), training: False})
        assert len(graph.get_operations()) == len(message.node)
    assert np.abs(found - logits).max() < 1e-4


def test_training_goes_on_from_the_checkpoint(conv20: Path, shared: Path) -> None:
    logits, x, training, out = expected(conv20)
    test, train = pictures(shared, "t10k", 500), pictures(shared, "train", 64 * 4)
    truth, labels = digits(shared, "t10k", 500), digits(shared, "train", 64 * 4)
    with tf.Graph().as_default(), tf.Session() as session:
        saver = tf.train.import_meta_graph(str(conv20 / "model.ckpt-800.meta"))
        saver.restore(session, str(conv20 / "model.ckpt-800"))
        found = session.run(out, {x: test, training: False})
        assert np.abs(found[:64] - logits).max() < 1e-4
        before = np.mean(found.argmax(1) == truth)
        (step,) = tf.get_collection("train_op")
        for at in range(0, 64 * 4, 64):
            hot = np.eye(10, dtype=np.float32)[labels[at : at + 64]]
            session.run(step, {x: train[at : at + 64], "Placeholder_1:0": hot, training: True})
        after = np.mean(session.run(out, {x: test, training: False}).argmax(1) == truth)
    assert before > 0.93
    assert after >= before


@pytest.mark.slow
def test_accuracy_rises_as_under_tensorflow(conv20: Path, shared: Path) -> None:
    _, x, training, out = expected(conv20)
    test, train = pictures(shared, "t10k", 10000), pictures(shared, "train", 640)
    truth, labels = digits(shared, "t10k", 10000), digits(shared, "train", 640)
    # What TensorFlow 1.15.5 gave after so many steps from the same checkpoint, on the same batches.
    figures = {0: 0.9683, 1: 0.9699, 2: 0.9709, 5: 0.9725, 10: 0.9725}
    found: dict[int, float] = {}
    with tf.Graph().as_default(), tf.Session() as session:
        saver = tf.train.import_meta_graph(str(conv20 / "model.ckpt-800.meta"))
        saver.restore(session, str(conv20 / "model.ckpt-800"))
        (step,) = tf.get_collection("train_op")
        for count in range(11):
            if count in figures:
                parts = [session.run(out, {x: p, training: False}) for p in np.split(test, 20)]
                found[count] = float(np.mean(np.concatenate(parts).argmax(1) == truth))
            at = slice(64 * count, 64 * count + 64)
            if count < 10:
                hot = np.eye(10, dtype=np.float32)[labels[at]]
                session.run(step, {x: train[at], "Placeholder_1:0": hot, training: True})
    assert found[10] >= found[0]
    assert max(abs(found[n] - figures[n]) for n in figures) < 0.0015, found


def test_the_meta_graph_of_the_dense_network_trains(shared: Path) -> None:
    folder = shared / "oracle" / "artefacts" / "dnn_elu"
    prefix = str(folder / "mnist-batch-normalized-model.ckpt")
    with tf.Graph().as_default() as graph, tf.Session() as session:
        saver = tf.train.import_meta_graph(prefix + ".meta")
        saver.restore(session, prefix)
        x = pictures(shared, "t10k", 500).reshape(-1, 784)
        feeds = {"X:0": x, "y:0": digits(shared, "t10k", 500).astype(np.int32)}
        rows = (op for op in graph.get_operations() if op.name.startswith("eval/"))
        accuracy = next(op for op in rows if op.type == "Mean")
        before = session.run(accuracy.outputs[0], feeds)
        assert before > 0.9
        for op in [*tf.get_collection("train_op"), *tf.get_collection(tf.GraphKeys.UPDATE_OPS)]:
            session.run(op, feeds)
        assert session.run(accuracy.outputs[0], feeds) > before - 0.02


@pytest.mark.parametrize("name", ["conv20_layers", "dnn_elu"])
def test_exported_again_every_node_and_collection_is_as_it_was(name: str, shared: Path) -> None:
    (file,) = (shared / "oracle" / "artefacts" / name).glob("*.meta")
    message = read_message(file, MetaGraphDef)
    with tf.Graph().as_default():
        saver = tf.train.import_meta_graph(message)
        again = saver.export_meta_graph()
    assert {n.name: n for n in again.graph_def.node} == {n.name: n for n in message.graph_def.node}
    assert again.saver_def == message.saver_def
    assert set(again.collection_def) == set(message.collection_def)
    for key, there in message.collection_def.items():
        ours = again.collection_def[key]
        kind = CondContextDef if key == "cond_context" else VariableDef
        pairs = zip(ours.bytes_list.value, there.bytes_list.value, strict=True)
        for mine, other in ((kind.FromString(a), kind.FromString(b)) for a, b in pairs):
            for field in ("synchronization", "aggregation") if kind is VariableDef else ():
                other.ClearField(field)  # how replicas agree: without meaning in one process
            assert mine == other
        assert ours.node_list == there.node_list


def test_the_programs_graph_is_tensorflows_attribute_for_attribute(
    conv20: Path, shared: Path
) -> None:
    source = (shared / "programs" / "conv20_layers.py").read_text()
    start = source.index("def fully_connected")
    space: dict[str, Any] = {"tf": tf}
    exec(source[start : source.index("    # Train and test the network")], space)
    with tf.Graph().as_default() as graph:
        space["train"](0, 64, 0.002)
        tf.global_variables_initializer()
    message = read_message(conv20 / "model.ckpt-800.meta", MetaGraphDef)
    ours = graph.as_graph_def(add_shapes=True).node
    theirs = [node for node in message.graph_def.node if not node.name.startswith("save/")]
    assert len(ours) == 3605
    assert [n.name for n in ours] == [n.name for n in theirs]
    assert [a.name for a, b in zip(ours, theirs, strict=True) if a != b] == []
