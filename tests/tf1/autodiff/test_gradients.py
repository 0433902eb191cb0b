"""``tf.gradients``: the nodes against torch's autograd, options, registration, refusals."""

import json
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from tf1 import oracle, snippet
from tf1.test_oracle import close

CASES = ["grad_math", "grad_arrays", "grad_cond", "grad_nn", "grad_image", "optimizers"]


@pytest.mark.parametrize("case", CASES)
def test_the_nodes_give_what_autograd_gives(case: str) -> None:
    space: dict[str, Any] = {"tf": tf, "np": np, "show": {}, "feeds": {}, "fails": {}}
    expected = oracle.recorded(case)["values"]
    with tf.Graph().as_default() as graph, tf.Session() as session:
        exec((oracle.CASES / f"{case}.txt").read_text(), space)
        assert graph.gradient_records
        graph.gradient_records.clear()  # the nodes run
        session.run(tf.global_variables_initializer())
        found = {k: session.run(f, space["feeds"]) for k, f in space["show"].items()}
    plain = json.loads(json.dumps({k: snippet.plain(v) for k, v in found.items()}))
    assert [k for k, v in expected.items() if not close(plain[k], v)] == []


def lowered(session: Any, fetches: Any, feeds: Any = None) -> str:
    """The code of a run."""
    session.run(fetches, feeds)
    run, _ = list(list(session._calls.values())[-1].program._runs.values())[-1]
    return str(run.__self__.code)


def test_one_call_of_autograd_takes_the_place_of_the_nodes() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        w, b = tf.Variable([[1.0], [2.0]]), tf.Variable([0.5])
        loss = tf.reduce_mean(tf.square(tf.matmul([[1.0, 2.0]], w) + b))
        step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
        session.run(tf.global_variables_initializer())
        code = lowered(session, step)
        inside = tf.get_default_graph().get_tensor_by_name("gradients/Square_grad/Mul_1:0")
        both = lowered(session, [step, inside])
    assert code.count("autograd(") == 1
    assert "autograd(" not in both


def test_second_derivatives() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant([1.0, 2.0])
        first = tf.gradients(x**4.0, x)[0]
        penalty = tf.reduce_sum(tf.square(first))
        second, third = tf.gradients(first, x)[0], tf.gradients(penalty, x)[0]
        np.testing.assert_allclose(session.run(second), [12.0, 48.0], rtol=1e-6)
        np.testing.assert_allclose(session.run(third), [96.0, 3072.0], rtol=1e-6)
        both = session.run([first, third])
        np.testing.assert_allclose(both[0], [4.0, 32.0], rtol=1e-6)
        np.testing.assert_allclose(both[1], [96.0, 3072.0], rtol=1e-6)
        np.testing.assert_allclose(
            session.run(tf.hessians(tf.reduce_sum(x**3.0), x)[0]), [[6.0, 0.0], [0.0, 12.0]]
        )


def test_what_is_not_connected_is_none_or_zero() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x, y = tf.constant(1.0), tf.constant([2.0, 3.0])
        assert tf.gradients(x * 2.0, [x, y])[1] is None
        assert tf.gradients(tf.stop_gradient(x), x) == [None]
        assert tf.gradients(tf.cast(x, tf.int32), x) == [None]
        zero = tf.gradients(x * 2.0, [y], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        assert session.run(zero)[0].tolist() == [0.0, 0.0]


def test_stop_gradients_gives_partial_derivatives() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        a = tf.constant(3.0)
        b = a * 2.0
        total = tf.gradients(a * b, [a, b])
        partial = tf.gradients(a * b, [a, b], stop_gradients=[a, b])
        assert session.run(total) == [12.0, 3.0]
        assert session.run(partial) == [6.0, 3.0]


def test_a_maximum_of_equals_goes_to_the_first_on_both_ways() -> None:
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x, y = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 3.0])
        results = tf.gradients(tf.maximum(x, y), [x, y])
        session.run(tf.global_variables_initializer())
        fast = session.run(results)
        graph.gradient_records.clear()
        graph.changed()
        slow = session.run(results)
    assert [v.tolist() for v in fast] == [v.tolist() for v in slow] == [[1.0, 0.0], [0.0, 1.0]]


def test_programs_register_gradients_of_their_own() -> None:
    def tenfold(_: Any, grad: Any) -> Any:
        return grad * 10.0

    tf.RegisterGradient("TestOnlyTenfold")(tenfold)
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.constant(2.0)
        with graph.gradient_override_map({"Identity": "TestOnlyTenfold"}):
            y = tf.identity(x)
        assert session.run(tf.gradients(y * 3.0, x)) == [30.0]
    with pytest.raises(KeyError, match="Registering two gradient"):
        tf.RegisterGradient("TestOnlyTenfold")(tenfold)
    with pytest.raises(TypeError):
        tf.RegisterGradient(3)


def test_custom_gradients_of_several_values() -> None:
    def forward(x: Any, y: Any) -> Any:
        return (x * y, x + y), lambda dp, ds: (dp * 100.0, ds * 7.0)

    both = tf.custom_gradient(forward)
    with tf.Graph().as_default(), tf.Session() as session:
        x, y = tf.constant(2.0), tf.constant(3.0)
        product, total = both(x, y)
        assert session.run([product, total]) == [6.0, 5.0]
        assert session.run(tf.gradients([product, total], [x, y])) == [100.0, 7.0]


def test_refusals() -> None:
    with tf.Graph().as_default():
        x = tf.Variable([1.0, 2.0])
        with pytest.raises(LookupError, match="No gradient defined for operation 'Cholesky'"):
            tf.gradients(tf.cholesky([[1.0, 0.0], [0.0, 1.0]] * x), x)
        with pytest.raises(ValueError, match="Passed 1 grad_ys for 2 ys"):
            tf.gradients([x, x], x, grad_ys=[None])


def test_a_branch_not_taken_gives_zeros_to_its_variables() -> None:
    with tf.Graph().as_default() as graph, tf.Session() as session:
        p = tf.placeholder(tf.bool, [])
        a, b = tf.Variable([1.0, 2.0]), tf.Variable([3.0, 4.0])
        grads = tf.gradients(tf.cond(p, lambda: a * 2.0, lambda: b * 3.0), [a, b])
        session.run(tf.global_variables_initializer())
        for clear in (False, True):
            if clear:
                graph.gradient_records.clear()
                graph.changed()
            taken = [v.tolist() for v in session.run(grads, {p: True})]
            other = [v.tolist() for v in session.run(grads, {p: False})]
            assert taken == [[2.0, 2.0], [0.0, 0.0]]
            assert other == [[0.0, 0.0], [3.0, 3.0]]
