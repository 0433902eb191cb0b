"""Fused steps give what the nodes give, and stand aside where somebody looks between."""

from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1.lower import rewrites
from evenkeel.tf1.lower.peepholes import fused_batch_norm
from evenkeel.tf1.ops import normalization

VALUES = np.random.default_rng(0).normal(3.0, 2.0, (4, 5, 5, 3)).astype(np.float32)


def network(training: Any) -> tuple[Any, Any, list[Any], Any]:
    x = tf.placeholder(tf.float32, [None, 5, 5, 3])
    normal = tf.layers.batch_normalization(x, training=training)
    y = tf.nn.relu(normal)
    weights = tf.constant(np.arange(75, dtype=np.float32).reshape(5, 5, 3))
    grads = tf.gradients(tf.reduce_sum(y * weights), [x, *tf.trainable_variables()])
    return x, y, [*grads, *tf.get_collection(tf.GraphKeys.UPDATE_OPS)], normal


def run(training: bool, between: bool, switched: bool) -> list[Any]:
    """``switched``: behind a placeholder that says whether it trains, hence a tf.cond."""
    with tf.Graph().as_default() as graph:
        mode: Any = tf.placeholder(tf.bool) if switched else training
        x, y, rest, normal = network(mode)
        start = tf.global_variables_initializer()
    feeds = {x: VALUES, mode: training} if switched else {x: VALUES}
    with tf.Session(graph=graph) as session:
        session.run(start)
        values = session.run([y, *rest, *([normal] if between else [])], feeds)
        averages = session.run(graph.get_collection("variables"))
    return [*[v for v in values if v is not None][:4], *averages]


@pytest.mark.parametrize("switched", [False, True])
@pytest.mark.parametrize("training", [True, False])
def test_a_fused_relu_gives_what_the_nodes_give(
    training: bool, switched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels: list[str | None] = []
    whole = normalization.normalized

    def noted(*args: Any, **given: Any) -> Any:
        kernels.append(given.get("activation"))
        return whole(*args, **given)

    monkeypatch.setattr(normalization, "normalized", noted)
    monkeypatch.setattr(fused_batch_norm, "normalized", noted)
    found = run(training, between=False, switched=switched)
    assert kernels == ["relu"]
    seen = run(training, between=True, switched=switched)
    assert kernels == ["relu", None]
    monkeypatch.setattr(rewrites, "PEEPHOLES", [])
    plain = run(training, between=False, switched=switched)
    assert kernels == ["relu", None, None]
    for one, two, three in zip(found, plain, seen, strict=True):
        assert np.allclose(one, two, rtol=1e-5, atol=1e-5 * np.abs(two).max())
        assert np.allclose(three, two, rtol=1e-5, atol=1e-5 * np.abs(two).max())
