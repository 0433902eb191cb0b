"""What waits for an update sees what it left, as where an Identity is the variable's own memory."""

from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf

# Printed by TensorFlow 1.15.5: the variables and their averages, after each of three steps.
RECORDED = [
    ([0.8, 1.6], [0.9, 1.8], 2.5, 1.25),
    ([0.64, 1.28], [0.77, 1.54], 3.75, 2.5),
    ([0.512, 1.024], [0.641, 1.282], 4.375, 3.4375),
]
# By its formula, with the decay (1 + 3) / (10 + 3).
WITH_COUNT = [
    ([0.8, 1.6], [0.8615385, 1.723077], 2.5, 1.7307692),
    ([0.64, 1.28], [0.7081657, 1.4163314], 3.75, 3.1286984),
]


@pytest.mark.parametrize(
    ("count", "expected"), [(None, RECORDED), (3, WITH_COUNT)], ids=["plain", "count"]
)
def test_averages_take_what_the_step_before_them_left(count: Any, expected: Any) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        w, m = tf.Variable([1.0, 2.0]), tf.Variable(0.0, trainable=False)
        step = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(tf.square(w)))
        up = tf.assign_sub(m, (m - 5.0) * 0.5)
        averages = tf.train.ExponentialMovingAverage(0.5, count and tf.constant(count))
        with tf.control_dependencies([step, up]):
            train = averages.apply([w, m])
        session.run(tf.global_variables_initializer())
        for row in expected:
            session.run(train)
            found = session.run([w, averages.average(w), m, averages.average(m)])
            for one, other in zip(found, row, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-5)


def test_who_does_not_wait_sees_what_was_read() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.Variable(3.0)
        doubled = w * 2.0
        with tf.control_dependencies([doubled]):
            write = tf.assign(w, 10.0)
        with tf.control_dependencies([write]):
            after = w * 2.0
        session.run(tf.global_variables_initializer())
        assert session.run([doubled, after]) == [6.0, 20.0]


def test_who_fetches_a_variable_sees_it_at_the_end_of_the_run() -> None:
    """As TensorFlow 1.15.5 prints it: the step's number with its step is 1, 2, 3."""
    with tf.Graph().as_default(), tf.Session() as session:
        count, w = tf.train.create_global_step(), tf.Variable(1.0)
        train = tf.train.GradientDescentOptimizer(0.25).minimize(tf.square(w), count)
        session.run(tf.global_variables_initializer())
        for step in (1, 2, 3):
            found = session.run([count, train, w])
            assert found[0] == step
            assert found[2] == 0.5**step
