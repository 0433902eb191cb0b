"""Imported Switch, Merge and loops: the same values without the contexts of the program's own graph."""

from collections.abc import Callable
from typing import Any

import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1.proto import GraphDef, NodeDef


def constants(p: Any, q: Any, x: Any) -> Any:
    return tf.cond(p, lambda: 1.0, lambda: 2.0)


def nested(p: Any, q: Any, x: Any) -> Any:
    def inner() -> Any:
        return tf.cond(q, lambda: x + 1.0, lambda: tf.constant(5.0)) * 2.0

    return tf.cond(p, inner, lambda: tf.cond(q, lambda: tf.constant(7.0), lambda: x * x)) - 1.0


def draws(p: Any, q: Any, x: Any) -> Any:
    return tf.cond(p, lambda: tf.random_uniform([], seed=1) * 0.0 + x, lambda: x * 3.0)


def writes(p: Any, q: Any, x: Any) -> Any:
    seen = tf.get_variable("seen", [], initializer=tf.zeros_initializer())

    def add() -> Any:
        with tf.control_dependencies([tf.assign_add(seen, x)]):
            return tf.no_op()

    with tf.control_dependencies([tf.cond(p, add, tf.no_op)]):
        return seen.read_value()


def loop(p: Any, q: Any, x: Any) -> Any:
    ends = tf.while_loop(
        lambda i, *_: i < 4, lambda i, a, b: (i + 1, a + b, b * 2.0), [0, x, tf.constant(1.0)]
    )
    return ends[1]


def loop_with_branch(p: Any, q: Any, x: Any) -> Any:
    def step(i: Any, a: Any) -> Any:
        return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: a + x, lambda: a * 2.0)

    return tf.while_loop(lambda i, _: i < 5, step, [0, x])[1]


def loop_in_branch(p: Any, q: Any, x: Any) -> Any:
    def run() -> Any:
        return tf.while_loop(lambda i, _: i < 3, lambda i, a: (i + 1, a * a), [0, x])[1]

    return tf.cond(p, run, lambda: x - 1.0)


def loop_in_loop(p: Any, q: Any, x: Any) -> Any:
    def outer(i: Any, a: Any) -> Any:
        return i + 1, tf.while_loop(lambda j, _: j < i, lambda j, b: (j + 1, b + 1.0), [0, a])[1]

    return tf.while_loop(lambda i, _: i < 4, outer, [0, x])[1]


PROGRAMS = [constants, nested, draws, writes, loop, loop_with_branch, loop_in_branch, loop_in_loop]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("known", [False, True], ids=["computed", "fed"])
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_an_imported_graph_runs_as_its_source(
    program: Callable[..., Any], known: bool, cut: bool
) -> None:
    with tf.Graph().as_default() as source:
        x = tf.placeholder(tf.float32, [], name="x")
        p, q = tf.placeholder(tf.bool, [], name="p"), tf.placeholder(tf.bool, [], name="q")
        truths = (p, q) if known else (tf.equal(x > 0.0, p), tf.not_equal(x > 9.0, q))
        tf.identity(program(*truths, x), name="out")
        start = tf.global_variables_initializer().name
    message = source.as_graph_def()
    if cut:
        message = tf.graph_util.extract_sub_graph(message, ["out", start])
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(message, name="")
    for truth in (False, True):
        for other in (False, True):
            feeds = {"x:0": 1.5, "p:0": truth, "q:0": other}
            values = []
            for one in (source, graph):
                there = {k: v for k, v in feeds.items() if k[:1] in one.operations}
                with tf.Session(graph=one) as session:
                    session.run(start)
                    values.append([session.run("out:0", there) for _ in range(2)])
            assert values[0] == values[1], feeds


def hand_made() -> GraphDef:
    """Two Switches of two predicates whose sides meet in Merges that do not nest."""
    message = GraphDef()
    rows = [
        ("x", "Placeholder", [], {"dtype": 1}),
        ("p", "Placeholder", [], {"dtype": 10}),
        ("q", "Placeholder", [], {"dtype": 10}),
        ("s", "Switch", ["x", "p"], {"T": 1}),
        ("t", "Switch", ["x", "q"], {"T": 1}),
        ("neg", "Neg", ["s"], {"T": 1}),
        ("square", "Square", ["t:1"], {"T": 1}),
        ("cross", "Merge", ["neg", "square"], {"T": 1, "N": 2}),
        ("twice", "Add", ["cross", "cross"], {"T": 1}),
        ("either", "Merge", ["twice", "s:1", "x"], {"T": 1, "N": 3}),
        ("after", "NoOp", ["^cross"], {}),
        ("waits", "Identity", ["x", "^after"], {"T": 1}),
    ]
    for name, kind, inputs, attrs in rows:
        node = NodeDef(name=name, op=kind, input=inputs)
        for key, value in attrs.items():
            if key == "N":
                node.attr[key].i = value
            else:
                node.attr[key].type = value
        message.node.append(node)
    return message


@pytest.mark.parametrize(("p", "q"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_branches_that_do_not_nest_run_by_what_is_alive(p: int, q: int) -> None:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(hand_made(), name="")
    feeds = {"x:0": 3.0, "p:0": bool(p), "q:0": bool(q)}
    alive = [] if p else [-3.0]
    alive += [9.0] if q else []
    with tf.Session(graph=graph) as session:
        if alive:
            cross = session.run("cross:0", feeds)
            assert cross in alive
            assert session.run("either:0", feeds) in (2 * cross, 3.0)
            assert session.run("waits:0", feeds) == 3.0
        else:
            for name in ("cross:0", "twice:0", "waits:0"):
                with pytest.raises(tf.errors.InvalidArgumentError, match="does not have value"):
                    session.run(name, feeds)
            assert session.run("either:0", feeds) == 3.0
            assert session.run("after", feeds) is None
