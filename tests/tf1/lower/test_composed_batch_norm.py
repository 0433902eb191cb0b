"""Moments and batch_normalization on one kernel give what their nodes give, in training too."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel import autograd
from evenkeel.tf1.lower import rewrites

RNG = np.random.default_rng(1)
ROWS = RNG.normal(5.0, 2.0, (12, 4)).astype(np.float32)
IMAGES = RNG.normal(-3.0, 2.0, (6, 5, 4, 3)).astype(np.float32)
Build = Callable[[], tuple[list[Any], dict[Any, Any]]]


def loss_of(y: Any) -> Any:
    shape = [s or 1 for s in y.shape.as_list()]
    return tf.reduce_sum(
        y * tf.constant(np.linspace(-1, 2, np.prod(shape)).reshape(shape), "float32")
    )


def layer(training: bool) -> Build:
    def build() -> tuple[list[Any], dict[Any, Any]]:
        x, mode = tf.placeholder(tf.float32, [None, 4]), tf.placeholder(tf.bool)
        y = tf.nn.elu(tf.layers.batch_normalization(x, training=mode, momentum=0.9))
        grads = tf.gradients(loss_of(y), [x, *tf.trainable_variables()])
        return [y, *grads, tf.get_collection("update_ops")], {x: ROWS, mode: training}

    return build


def by_hand(training: bool) -> Build:
    """As the second half of the tutorial does it: averages move before y, inside of a tf.cond."""

    def build() -> tuple[list[Any], dict[Any, Any]]:
        x, mode = tf.placeholder(tf.float32, [None, 5, 4, 3]), tf.placeholder(tf.bool)
        gamma, beta = tf.Variable([1.0, 2.0, 3.0]), tf.Variable([-1.0, 0.0, 1.0])
        mean, var = (tf.Variable(v, trainable=False) for v in ([0.0] * 3, [1.0] * 3))

        def train() -> Any:
            m, v = tf.nn.moments(x, [0, 1, 2])
            moved = tf.assign(mean, mean * 0.9 + m * 0.1), tf.assign(var, var * 0.9 + v * 0.1)
            with tf.control_dependencies(moved):
                return tf.nn.batch_normalization(x, m, v, beta, gamma, 1e-3)

        def infer() -> Any:
            return tf.nn.batch_normalization(x, mean, var, beta, gamma, 1e-3)

        y = tf.nn.relu(tf.cond(mode, train, infer))
        grads = tf.gradients(loss_of(y), [x, gamma, beta])
        return [y, *grads], {x: IMAGES, mode: training}

    return build


def bare() -> tuple[list[Any], dict[Any, Any]]:
    x = tf.placeholder(tf.float32, [None, 4])
    mean, var = tf.nn.moments(x, [0])
    y = tf.nn.batch_normalization(x, mean, var, None, None, 1e-5)
    return [y, mean, var, *tf.gradients(loss_of(y), [x])], {x: ROWS}


def differentiated_mean() -> tuple[list[Any], dict[Any, Any]]:
    """The loss looks at the mean: the kernel, which gives it no gradient, must stand aside."""
    x = tf.placeholder(tf.float32, [None, 4])
    mean, var = tf.nn.moments(x, [0])
    y = tf.nn.batch_normalization(x, mean, var, None, None, 1e-5)
    return [y, *tf.gradients(loss_of(y) + tf.reduce_sum(mean * mean), [x])], {x: ROWS}


def differentiated_given() -> tuple[list[Any], dict[Any, Any]]:
    """The mean is a variable that the loss is differentiated by."""
    x, mean = tf.placeholder(tf.float32, [None, 4]), tf.Variable([1.0, 2.0, 3.0, 4.0])
    y = tf.nn.batch_normalization(x, mean, tf.constant([1.0, 2.0, 3.0, 4.0]), None, None, 1e-5)
    return [y, *tf.gradients(loss_of(y), [x, mean])], {x: ROWS}


def renormalized() -> tuple[list[Any], dict[Any, Any]]:
    """Scale and offset depend on the moments."""
    x = tf.placeholder(tf.float32, [None, 4])
    y = tf.layers.batch_normalization(x, training=True, renorm=True)
    return [y, *tf.gradients(loss_of(y), [x])], {x: ROWS}


def seen(build: Build) -> list[Any]:
    """What is fetched, then every variable."""
    with tf.Graph().as_default() as graph:
        fetches, feeds = build()
        start = tf.global_variables_initializer()
    with tf.Session(graph=graph) as session:
        session.run(start)
        values = session.run(fetches, feeds)
        flat = [v for v in values if isinstance(v, np.ndarray)]
        return [*flat, *session.run(graph.get_collection("variables"))]


CASES = {
    "layer": (layer(True), ["train"]),
    "layer, inference": (layer(False), ["normalize"]),
    "by hand": (by_hand(True), ["train"]),
    "by hand, inference": (by_hand(False), ["normalize"]),
    "bare": (bare, ["train"]),
    "differentiated mean": (differentiated_mean, []),
    "differentiated given": (differentiated_given, []),
    "renormalized": (renormalized, []),
}


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_gives_what_the_nodes_give(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build, expected = CASES[name]
    kernels: list[str] = []
    for kind in ("train", "normalize"):
        whole = getattr(autograd, kind)

        def noted(*args: Any, kind: str = kind, whole: Any = whole, **given: Any) -> Any:
            kernels.append(kind)
            return whole(*args, **given)

        monkeypatch.setattr(autograd, kind, noted)
    found = seen(build)
    assert kernels == expected
    monkeypatch.setattr(rewrites, "PEEPHOLES", [])
    nodes = seen(build)
    assert kernels == expected
    assert len(found) == len(nodes) > 1
    for one, other in zip(found, nodes, strict=True):
        assert np.allclose(one, other, rtol=2e-5, atol=2e-5 * np.abs(other).max())


def test_what_lies_between_can_still_be_fetched() -> None:
    with tf.Graph().as_default() as graph:
        (y, *_), feeds = bare()
        inner = y.op.inputs[0]
    with tf.Session(graph=graph) as session:
        both = session.run([y, inner], feeds)
        alone = session.run(y, feeds)
    assert np.allclose(both[0], alone, atol=1e-5)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_bias_joins_its_product(transposed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def build() -> tuple[list[Any], dict[Any, Any]]:
        x = tf.placeholder(tf.float32, [None, 4])
        kernel, bias = tf.Variable(ROWS[:4, :3]), tf.Variable([1.0, -1.0, 2.0])
        weights = tf.transpose(kernel) if transposed else kernel
        y = tf.nn.bias_add(tf.matmul(x, weights, transpose_b=transposed), bias)
        return [y, *tf.gradients(loss_of(y), [x, kernel, bias])], {x: ROWS}

    found = seen(build)
    monkeypatch.setattr(rewrites, "PEEPHOLES", [])
    for one, other in zip(found, seen(build), strict=True):
        assert np.allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())


def test_averages_that_the_moments_wait_for_are_updated() -> None:
    """The moments come through identities that wait for the averages; the kernel must wait too."""
    batch = np.random.default_rng(3).normal(2.0, 3.0, (30, 4)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        x, phase = tf.placeholder(tf.float32, [None, 4]), tf.placeholder(tf.bool)
        mean, variance = tf.nn.moments(x, [0])
        averages = tf.train.ExponentialMovingAverage(decay=0.75)

        def updated() -> Any:
            with tf.control_dependencies([averages.apply([mean, variance])]):
                return tf.identity(mean), tf.identity(variance)

        kept = lambda: (averages.average(mean), averages.average(variance))  # noqa: E731
        moments = tf.cond(phase, updated, kept)
        scale = tf.Variable(tf.ones([4]))
        y = tf.nn.batch_normalization(x, *moments, None, scale, 1e-3)
        train = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_mean(tf.square(y - 1.0)))
        session.run(tf.global_variables_initializer())
        session.run(train, {x: batch, phase: True})
        found = session.run([averages.average(mean), averages.average(variance)])
    np.testing.assert_allclose(found[0], 0.25 * batch.mean(0), rtol=1e-4)
    np.testing.assert_allclose(found[1], 0.25 * batch.var(0), rtol=1e-4)
