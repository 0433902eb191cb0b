"""The warning for UPDATE_OPS that nobody ran."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]  # conftest's Ended: status, out, err

TRAINED = """import tensorflow as tf
def train():
    w = tf.Variable(1.0)
    mean = tf.Variable(0.0, trainable=False)
    update = tf.assign(mean, w * 2)
    tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
    step = tf.assign_sub(w, 0.5)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        {}
with tf.Graph().as_default():
    train()
{}
"""
WORDS = (
    "warning: UPDATE_OPS holds 1 operations that no run ever executed\n  at:  made by train.py:5\n"
)


def test_trained_without_updates(run: Run) -> None:
    ended = run(TRAINED.format("sess.run(step)", "import gc; gc.collect()"))
    assert ended.err.startswith(WORDS)
    assert "tf.control_dependencies" in ended.err
    assert ended.err.count("warning") == 1


def test_it_comes_also_before_an_exit(run: Run) -> None:
    assert run(TRAINED.format("sess.run(step)", "raise SystemExit(3)")).err.startswith(WORDS)


@pytest.mark.parametrize(
    "work",
    [
        "sess.run([step, update])",  # both
        "sess.run(step); sess.run(update)",  # one after the other
        "sess.run(step); tf.Session().run(tf.global_variables_initializer()); sess.run('Assign:0')",
        "sess.run(w)",  # never trained
        "pass",
    ],
)
def test_no_warning(run: Run, work: str) -> None:
    ended = run(TRAINED.format(work, ""))
    assert "UPDATE_OPS" not in ended.err


def test_no_warning_after_an_exception(run: Run) -> None:
    ended = run(TRAINED.format("sess.run(step); 1 / 0", ""))
    assert "UPDATE_OPS" not in ended.err
    assert ended.err.endswith("ZeroDivisionError: division by zero\n")
