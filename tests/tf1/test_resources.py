"""Nodes of resource variables, as graphs from files have them: the numbers of references."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1.build import apply

# A program of TensorFlow 1.15.5 with use_resource=True, saved after two steps; w.json: what came next.
RECORDED = Path(__file__).parents[1] / "recorded" / "tf1" / "resources"
START = np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 0.25]], np.float32)
GRAD = np.array([[0.5, 1.0], [-1.0, 0.25], [2.0, -0.5]], np.float32)
SLOTS = {
    "GradientDescent": 0, "Momentum": 1, "Adagrad": 1, "RMSProp": 2, "Adadelta": 2, "Adam": 2,
    "Ftrl": 2,
}  # fmt: skip
NUMBERS: dict[str, list[Any]] = {
    "GradientDescent": [0.1], "Momentum": [0.1, "grad", 0.9], "Adagrad": [0.1, "grad"],
    "RMSProp": [0.1, 0.9, 0.5, 1e-6, "grad"], "Adadelta": [1.0, 0.9, 1e-3, "grad"],
    "Adam": [0.9, 0.99, 0.1, 0.9, 0.99, 1e-6, "grad"], "Ftrl": ["grad", 0.1, 0.01, 0.02, -0.5],
}  # fmt: skip


def handle(name: str, value: Any) -> tuple[Any, Any]:
    made = apply("VarHandleOp", dtype="float32", shape=value.shape, shared_name=name, name=name)
    return made, apply("AssignVariableOp", made, value)


@pytest.mark.parametrize("rule", sorted(SLOTS))
def test_an_update_is_that_of_references(rule: str) -> None:
    """Two steps of ResourceApply… and of Apply… from the same values."""
    starts = [START, *[np.full_like(START, 0.1)] * SLOTS[rule]]

    def inputs() -> list[Any]:
        given = [GRAD if n == "grad" else tf.constant(n) for n in NUMBERS[rule]]
        return [*given, GRAD] if "grad" not in NUMBERS[rule] else given

    with tf.Graph().as_default(), tf.Session() as session:
        handles = [handle(f"v{i}", v) for i, v in enumerate(starts)]
        references = [tf.Variable(v) for v in starts]
        one = apply(f"ResourceApply{rule}", *[h for h, _ in handles], *inputs())
        other = apply(f"Apply{rule}", *[r._ref() for r in references], *inputs())
        reads = [apply("ReadVariableOp", h, dtype="float32") for h, _ in handles]
        session.run([tf.global_variables_initializer(), *[a for _, a in handles]])
        for _ in range(2):
            session.run([one, other])
        for left, right in zip(*session.run([reads, references]), strict=True):
            np.testing.assert_array_equal(left, right)
        assert not np.array_equal(session.run(reads[0]), START)


def test_reads_follow_writes() -> None:
    with tf.Graph().as_default() as graph, tf.Session() as session:
        v, first = handle("v", START)
        seen = apply("VarIsInitializedOp", v)
        assert not session.run(seen)
        read = apply("ReadVariableOp", v, dtype="float32")
        with pytest.raises(tf.errors.FailedPreconditionError, match="resource variable v"):
            session.run(read)
        session.run(first)
        with graph.control_dependencies([read]):
            more = apply("AssignAddVariableOp", v, np.ones_like(START))
        with graph.control_dependencies([more]):
            after = apply("ReadVariableOp", v, dtype="float32")
        one, other = session.run([read, after])
        np.testing.assert_array_equal(other, one + 1.0)
        assert session.run(apply("VariableShape", v)).tolist() == [3, 2]
        session.run(apply("ResourceScatterSub", v, [1], [[1.0, 2.0]], dtype="float32"))
        np.testing.assert_array_equal(session.run(read)[1], START[1] + 1.0 - [1.0, 2.0])


def test_gradients_reach_handles() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        v, first = handle("v", START)
        read = apply("ReadVariableOp", v, dtype="float32")
        rows = apply("ResourceGather", v, [2, 0, 2], dtype="float32")
        dense = tf.gradients(tf.reduce_sum(read * read), v)[0]
        sparse = tf.gradients(tf.reduce_sum(rows * 3.0), v)[0]
        session.run(first)
        np.testing.assert_allclose(session.run(dense), 2 * START)
        assert isinstance(sparse, tf.IndexedSlices)
        values, places = session.run([sparse.values, sparse.indices])
        assert places.tolist() == [2, 0, 2]
        np.testing.assert_array_equal(values, np.full((3, 2), 3.0))


def test_a_graph_that_tensorflow_trained_goes_on_as_there() -> None:
    """An embedding, batch normalization and Nesterov's momentum, all of resource variables."""
    numbers = np.random.RandomState(0)
    x, y, i = numbers.randn(16, 4), numbers.randint(0, 3, 16), numbers.randint(0, 5, 16)
    feeds = {"x:0": x.astype("f"), "y:0": y, "i:0": i, "training:0": True}
    losses, moved = json.loads((RECORDED / "w.json").read_text())
    with tf.Graph().as_default(), tf.Session() as session:
        saver = tf.train.import_meta_graph(str(RECORDED / "m.meta"))
        assert len(session.run(tf.report_uninitialized_variables())) == len(tf.global_variables())
        session.run(tf.global_variables_initializer())
        saver.restore(session, str(RECORDED / "m"))
        found = []
        for _ in losses:
            found.append(session.run("loss:0", feeds))
            session.run("train", feeds)
        np.testing.assert_allclose(found, losses, rtol=1e-5)
        np.testing.assert_allclose(session.run(tf.global_variables()[4]), moved, rtol=1e-5)
        assert found[-1] < found[0]
