"""Sessions: nesting, feeds, aliasing, state, errors with the program's line, recorded gradients."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1.lower.gradient_record import GradientRecord
from evenkeel.tf1.lower.rewrites import PEEPHOLES, free, peephole
from evenkeel.tf1.lower.steps import Plan, fused


class Pair(NamedTuple):
    first: Any
    second: Any


@pytest.fixture
def sess() -> Iterator[Any]:
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


def test_fetches_nest(sess: Any) -> None:
    a, b = tf.constant(1.0, name="a"), tf.constant([2, 3])
    got = sess.run({"x": [a, (b, "a:0")], "y": Pair(a, tf.no_op()), "op": "a"})
    assert got["x"][0] == got["x"][1][1] == got["y"].first == 1.0
    assert isinstance(got["x"][0], np.float32)
    assert got["y"].second is None
    assert got["op"] is None
    assert got["x"][1][0].tolist() == [2, 3]


def test_fetched_arrays_alias_nothing(sess: Any) -> None:
    w = tf.Variable([1.0, 2.0])
    sess.run(w.initializer)
    one, two = sess.run([w, tf.identity(w)])
    one[:] = 9.0
    assert two.tolist() == [1.0, 2.0]
    assert sess.run(w).tolist() == [1.0, 2.0]


def test_a_fed_array_may_change_afterwards(sess: Any) -> None:
    w = tf.Variable([0.0, 0.0])
    x = tf.placeholder(tf.float32, [2])
    fed = np.array([1.0, 2.0], np.float32)
    sess.run(tf.assign(w, x), {x: fed})
    fed[:] = 7.0
    assert sess.run(w).tolist() == [1.0, 2.0]


def test_any_tensor_can_be_fed(sess: Any) -> None:
    x = tf.placeholder(tf.float32)
    y = x * 2.0
    z = y + 1.0
    assert sess.run(z, {y: 5.0}) == 6.0
    assert sess.run(z, {"mul:0": 7.0}) == 8.0


def test_a_fed_constant_changes_what_follows_from_it(sess: Any) -> None:
    size = tf.constant(2)
    made = tf.fill([size * 2], 1.0)
    assert sess.run(made).shape == (4,)
    assert sess.run(made, {size: 3}).shape == (6,)


def test_only_the_taken_branch_runs(sess: Any) -> None:
    ran: list[Any] = []
    p = tf.placeholder(tf.bool)

    def side(name: str) -> Any:
        def note() -> Any:
            ran.append(name)
            return np.float32(1)

        return lambda: tf.py_func(note, [], tf.float32)

    c = tf.cond(p, side("yes"), side("no"))
    sess.run(c, {p: True})
    assert ran == ["yes"]
    sess.run(c, {p: False})
    assert ran == ["yes", "no"]


def test_a_loop_holds_branches_and_variables(sess: Any) -> None:
    w = tf.Variable(0.0)

    def body(i: Any, total: Any) -> Any:
        odd = tf.cond(tf.equal(i % 2, 1), lambda: tf.constant(10.0), lambda: tf.constant(1.0))
        with tf.control_dependencies([tf.assign_add(w, 1.0)]):
            return i + 1, total + odd

    _, total = tf.while_loop(lambda i, _: i < 5, body, [tf.constant(0), tf.constant(0.0)])
    sess.run(w.initializer)
    assert sess.run(total) == 23.0
    assert sess.run(w) == 5.0


def test_an_uninitialized_variable_names_itself_and_the_line(sess: Any) -> None:
    w = tf.Variable(1.0, name="lonely")
    with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value lonely") as e:
        sess.run(w)
    assert "test_session.py:" in str(e.value)


def test_a_failing_node_names_itself_and_the_line(sess: Any) -> None:
    x = tf.placeholder(tf.float32)
    y = tf.add(x, tf.ones([3]), name="bad")
    with pytest.raises(tf.errors.InvalidArgumentError, match="bad") as e:
        sess.run(y, {x: [1.0, 2.0]})
    assert e.value.op is y.op
    assert "test_session.py:" in str(e.value)


def test_closed_sessions_and_other_graphs(sess: Any) -> None:
    a = tf.constant(1.0)
    other = tf.Session()
    other.close()
    with pytest.raises(RuntimeError, match="closed Session"):
        other.run(a)
    with tf.Graph().as_default():
        b = tf.constant(2.0)
    with pytest.raises(ValueError, match="not an element of this graph"):
        sess.run(b)


def recorded_square(sess: Any) -> Any:
    """A gradient whose nodes are wrong on purpose, recorded as that of a sum of squares."""
    graph = sess.graph
    w = tf.Variable([1.0, 2.0])
    loss = tf.reduce_sum(tf.square(w))
    before = set(graph.get_operations())
    wrong = tf.multiply(tf.identity(loss, name="inside"), [100.0, 100.0])
    made = frozenset(set(graph.get_operations()) - before)
    graph.gradient_records.append(GradientRecord((loss,), (w._ref(),), (None,), (wrong,), made))
    sess.run(w.initializer)
    return w, loss, wrong


def test_a_recorded_gradient_is_autograds(sess: Any) -> None:
    w, loss, gradient = recorded_square(sess)
    assert sess.run(gradient).tolist() == [2.0, 4.0]
    step = tf.assign_sub(w, 0.5 * gradient)
    assert sess.run([loss, step])[0] == 5.0
    assert sess.run(w).tolist() == [0.0, 0.0]


def test_a_look_inside_a_recorded_gradient_runs_its_nodes(sess: Any) -> None:
    _, _, gradient = recorded_square(sess)
    got = sess.run([gradient, "inside:0"])
    assert got[0].tolist() == [500.0, 500.0]


def test_a_peephole_takes_the_place_of_nodes_nobody_sees(sess: Any) -> None:
    x = tf.placeholder(tf.float32, [])
    hidden = tf.exp(x)
    shown = tf.log(hidden)
    calls: list[Any] = []

    def same(value: Any) -> Any:
        calls.append(value)
        return (value,)

    def rewrite(plan: Plan) -> None:
        covers = [hidden.op, shown.op]
        if {s.op for s in plan.steps} >= set(covers) and free(plan, covers, [shown]):
            plan.replace(fused(covers, [x], [shown], same, "same"))

    peephole(rewrite)
    try:
        assert sess.run(shown, {x: 3.0}) == 3.0
        assert len(calls) == 1
        sess.run([shown, hidden], {x: 3.0})
        assert len(calls) == 1
    finally:
        PEEPHOLES.remove(rewrite)


def test_a_missing_symbol_names_its_neighbours() -> None:
    with pytest.raises(AttributeError, match="reduce_mean"):
        tf.reduce_meen  # noqa: B018  # the look-up itself fails


def test_what_a_session_refuses() -> None:
    with pytest.raises(tf.errors.NotFoundError, match="grpc://worker"):
        tf.Session("grpc://worker:2222")
    with pytest.raises(TypeError, match="config must be a"):
        tf.Session(config=3)


def test_the_graph_def_of_a_session() -> None:
    graph = tf.Graph()
    with graph.as_default():
        tf.constant(1.0, name="one")
    assert [node.name for node in tf.Session(graph=graph).graph_def.node] == ["one"]
