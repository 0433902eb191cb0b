"""A branch that a fed truth value rules out is not lowered; the value may change from run to run."""

from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1 import session as sessions


def code(session: Any) -> list[str]:
    """The code of each variant of the last kind of run."""
    program = list(session._calls.values())[-1].program
    return [str(run.__self__.code) for run, _ in program._runs.values()]


def test_one_program_for_each_truth() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        mode, x = tf.placeholder(tf.bool), tf.placeholder(tf.float32, [2])
        y = tf.cond(tf.logical_not(mode), lambda: tf.exp(x), lambda: tf.sin(x))
        for truth, expected in ((True, np.sin), (False, np.exp), (True, np.sin)):
            found = session.run(y, {mode: truth, x: [0.5, 1.0]})
            np.testing.assert_allclose(found, expected([0.5, 1.0]), rtol=1e-6)
        one, other = code(session)
        assert "torch.sin" in one and "torch.exp" not in one
        assert "torch.exp" in other and "torch.sin" not in other


def test_a_default_decides_where_nothing_is_fed() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        mode = tf.placeholder_with_default(False, [])
        y = tf.cond(mode, lambda: tf.constant(1.0), lambda: tf.constant(2.0))
        assert session.run(y) == 2.0
        assert session.run(y, {mode: True}) == 1.0


def test_branches_within_branches_and_what_they_assign() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        outer, inner = tf.placeholder(tf.bool, []), tf.placeholder(tf.bool, [])
        n = tf.Variable(0)

        def assigned(value: int) -> Any:
            return lambda: tf.identity(tf.assign(n, value))

        y = tf.cond(outer, lambda: tf.cond(inner, assigned(1), assigned(2)), assigned(3))
        session.run(tf.global_variables_initializer())
        for first, second, expected in ((True, True, 1), (True, False, 2), (False, True, 3)):
            assert session.run(y, {outer: first, inner: second}) == expected
            assert session.run(n) == expected


def test_the_branch_not_taken_cannot_be_fetched() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        mode, inside = tf.placeholder(tf.bool, []), []

        def taken() -> Any:
            inside.append(tf.constant(1.0) * 2.0)
            return inside[0]

        tf.cond(mode, taken, lambda: tf.constant(0.0))
        graph = tf.get_default_graph()
        graph._unfetchable.clear()
        with pytest.raises(tf.errors.InvalidArgumentError, match="does not have value"):
            session.run(inside[0], {mode: False})


def test_a_predicate_that_is_computed_is_still_asked_when_it_runs() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [])
        mode = tf.placeholder(tf.bool, [])
        y = tf.cond(
            mode,
            lambda: tf.cond(x > 0, lambda: x * 2.0, lambda: x * 3.0),
            lambda: tf.while_loop(lambda i: i < 10.0, lambda i: i + 4.0, [x]),
        )
        assert session.run(y, {mode: True, x: 1.0}) == 2.0
        assert session.run(y, {mode: True, x: -1.0}) == -3.0
        assert session.run(y, {mode: False, x: 1.0}) == 13.0


def test_a_predicate_must_be_one_value() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        mode = tf.placeholder(tf.bool)
        y = tf.cond(mode, lambda: tf.constant(1.0), lambda: tf.constant(2.0))
        with pytest.raises(tf.errors.InvalidArgumentError, match="must be a scalar"):
            session.run(y, {mode: [True, False]})


def test_what_is_told_as_executed_has_both_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sessions, "observers", [lambda _, ops: told.append(ops)])
    with tf.Graph().as_default(), tf.Session() as session:
        mode, x = tf.placeholder(tf.bool, []), tf.constant(1.0)
        y = tf.cond(mode, lambda: tf.exp(x), lambda: tf.sin(x))
        session.run(y, {mode: True})
    assert {"Exp", "Sin"} <= {op.type for op in told[0]}
