"""Gradients through tf.while_loop: the numbers of the loop unrolled, as torch and by hand find them."""

from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from tf1 import oracle, snippet
from tf1.test_oracle import close

START = np.array([0.5, -1.0, 2.0], np.float32)


def powers(unrolled: bool) -> tuple[list[Any], list[Any]]:
    """y = w · (w · (w · x + b) + b) + b, and sums of it; also what a loop inside of a loop gives."""
    x, w, b = tf.Variable(START), tf.Variable(1.5), tf.Variable([0.1, 0.2, 0.3])

    def step(y: Any) -> Any:
        return tf.tanh(y * w + b)

    if unrolled:
        y = x
        for _ in range(3):
            y = step(y)
    else:
        y = tf.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, step(v)), [0, x])[1]
    loss = tf.reduce_sum(y * y) + tf.reduce_sum(w * b)
    return [loss, *tf.gradients(loss, [x, w, b])], [x, w, b]


def values(unrolled: bool) -> list[Any]:
    with tf.Graph().as_default(), tf.Session() as session:
        fetches, _ = powers(unrolled)
        session.run(tf.global_variables_initializer())
        found: list[Any] = session.run(fetches)
        return found


def test_a_loop_gives_the_gradients_of_its_steps() -> None:
    for one, other in zip(values(unrolled=False), values(unrolled=True), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_number_of_turns_is_known_when_it_runs(count: int) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x, turns = tf.constant(3.0), tf.placeholder(tf.int32, [])
        _, y = tf.while_loop(lambda i, _: i < turns, lambda i, v: (i + 1, v * x), [0, x])
        grad = tf.gradients(y, x)[0]
        # The loop gives the power of x that is one above the count.
        assert session.run(grad, {turns: count}) == pytest.approx((count + 1) * 3.0**count)


def test_training_through_a_loop() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.Variable(0.9)
        _, y = tf.while_loop(lambda i, _: i < 4, lambda i, v: (i + 1, v * w), [0, tf.constant(1.0)])
        train = tf.train.GradientDescentOptimizer(0.1).minimize(tf.square(y - 0.25))
        session.run(tf.global_variables_initializer())
        for _ in range(200):
            session.run(train)
        assert session.run(y) == pytest.approx(0.25, abs=1e-3)


def test_loops_within_loops() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant(1.1)

        def inner(v: Any) -> Any:
            return tf.while_loop(lambda j, _: j < 2, lambda j, u: (j + 1, u * x), [0, v])[1]

        _, y = tf.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, inner(v)), [0, x])
        assert session.run(tf.gradients(y, x)[0]) == pytest.approx(7 * 1.1**6, rel=1e-5)


def test_what_lies_inside_can_be_fetched() -> None:
    """Then the nodes run, not torch's autograd in their place: stacks, and the loop that goes back."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.constant(2.0)
        _, y = tf.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, v * x), [0, x])
        grad = tf.gradients(y * 2.0, x)[0]
        left = next(op for op in graph.get_operations() if op.name.endswith("f_count_2"))
        assert session.run([grad, left.outputs[0]]) == [pytest.approx(2 * 4 * 8.0), 3]


@pytest.mark.parametrize("case", ["grad_loop", "grad_loop_cond", "grad_loop_nested"])
def test_the_nodes_alone_give_tensorflows_gradients(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evenkeel.tf1.autodiff.backprop._record", lambda *_: None)
    found = snippet.run(tf, (oracle.CASES / f"{case}.txt").read_text())["values"]
    expected = oracle.recorded(case)["values"]
    assert [k for k, v in expected.items() if not close(found[k], v)] == []


def test_a_loop_that_must_not_go_back_passes_no_gradient() -> None:
    with tf.Graph().as_default():
        x = tf.constant(2.0)
        y = tf.while_loop(lambda v: v < 9.0, lambda v: v * x, [x], back_prop=False)
        assert tf.gradients(y, x) == [None]


def test_a_gradient_of_a_gradient_of_a_loop_is_refused() -> None:
    with tf.Graph().as_default():
        x = tf.constant(2.0)
        y = tf.while_loop(lambda v: v < 9.0, lambda v: v * x, [x])
        with pytest.raises(TypeError, match="Second-order gradient"):
            tf.gradients(tf.gradients(y, x)[0], x)
