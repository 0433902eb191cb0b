"""Moving averages moved together have the bits of averages moved one by one."""

from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1.lower import rewrites

VALUES = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)


def trained(switched: bool, written: bool) -> tuple[list[Any], int]:
    """Every variable after two steps of three layers, and how many are moved by themselves."""
    with tf.Graph().as_default() as graph:
        x, mode = tf.placeholder(tf.float32, [None, 4]), tf.placeholder(tf.bool, [])
        y = x
        for _ in range(3):
            y = tf.nn.relu(
                tf.layers.batch_normalization(y + 1.0, training=mode if switched else True)
            )
        updates = tf.get_collection("update_ops")
        if written:  # somebody else changes one of the averages as well
            updates.append(tf.assign_add(updates[0].inputs[0], [1.0] * 4))
        start = tf.global_variables_initializer()
    with tf.Session(graph=graph) as session:
        session.run(start)
        for _ in range(2):
            session.run([y, *updates], {x: VALUES, mode: True} if switched else {x: VALUES})
        code = str(list(session._calls.values())[-1].program._runs.popitem()[1][0].__self__.code)
        return session.run(graph.get_collection("variables")), code.count("assignsub")


@pytest.mark.parametrize("switched", [False, True])
def test_the_bits_of_one_by_one(switched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    together, apart_calls = trained(switched, written=False)
    assert not apart_calls
    without = [f for f in rewrites.PEEPHOLES if f.__name__ != "averages_together"]
    monkeypatch.setattr(rewrites, "PEEPHOLES", without)
    apart, calls = trained(switched, written=False)
    assert calls
    for one, other in zip(together, apart, strict=True):
        assert np.array_equal(one, other)


def test_an_average_that_somebody_else_writes_stays_by_itself() -> None:
    assert trained(switched=False, written=True)[1]
