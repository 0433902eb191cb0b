"""Inference writes over what nobody needs again, and nothing else; large images are padded in parts."""

from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel import autograd
from evenkeel.tf1.ops import convolution

IMAGES = np.random.default_rng(2).normal(size=(5, 6, 6, 2)).astype(np.float32)


def network(training: Any) -> tuple[Any, Any, Any]:
    x = tf.placeholder(tf.float32, [None, 6, 6, 2])
    kernel = tf.Variable(np.linspace(-1, 1, 54).reshape(3, 3, 2, 3).astype(np.float32))
    h = tf.nn.conv2d(x, kernel, [1, 2, 2, 1], "SAME")
    return x, h, tf.nn.relu(tf.layers.batch_normalization(h, training=training))


@pytest.mark.parametrize("switched", [False, True])
@pytest.mark.parametrize("look", ["", "fetched", "taken"])
def test_over_the_convolution_where_nobody_looks(
    look: str, switched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []
    whole = autograd.normalize_into

    def noted(out: Any, x: Any, *rest: Any) -> Any:
        written.append(out is x)
        return whole(out, x, *rest)

    monkeypatch.setattr(autograd, "normalize_into", noted)
    with tf.Graph().as_default(), tf.Session() as session:
        mode: Any = tf.placeholder(tf.bool) if switched else False
        x, h, y = network(mode)
        fetches = {"": y, "fetched": [y, h], "taken": [y, tf.reduce_sum(h)]}[look]
        feeds = {x: IMAGES, mode: False} if switched else {x: IMAGES}
        session.run(tf.global_variables_initializer())
        found = session.run(fetches, feeds)
        again = session.run(fetches, feeds)
        value = session.run(h, feeds)
    assert written == ([] if look else [True, True])
    one, two = (v[0] if look else v for v in (found, again))
    assert np.array_equal(one, two)
    # A fresh batch norm: mean 0, variance 1.
    np.testing.assert_allclose(one, np.maximum(value / np.sqrt(1.001), 0), rtol=1e-5, atol=1e-6)


def test_not_where_gradients_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autograd, "normalize_into", None)  # must not be called
    with tf.Graph().as_default(), tf.Session() as session:
        x, _, y = network(False)
        grads = tf.gradients(tf.reduce_sum(y), tf.trainable_variables())
        session.run(tf.global_variables_initializer())
        assert np.isfinite(session.run(grads[0], {x: IMAGES})).all()


def test_padding_in_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen() -> Any:
        with tf.Graph().as_default(), tf.Session() as session:
            x, h, _ = network(False)
            session.run(tf.global_variables_initializer())
            return session.run(h, {x: IMAGES})

    whole = seen()
    monkeypatch.setattr(convolution, "_PART", IMAGES[0].nbytes * 2)
    # oneDNN may sum in another order for another batch.
    np.testing.assert_allclose(seen(), whole, rtol=1e-5, atol=1e-5)
