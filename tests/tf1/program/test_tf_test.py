"""`tf.test`: programs of its age carry their own tests."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1.test.case import SEED

Run = Callable[..., Any]  # conftest's Ended: status, out, err
PROGRAM = """
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import test_util
from tensorflow.python.platform import test


class Tests(tf.test.TestCase):
    def test_sessions(self):
        w = tf.Variable(3.0)
        with self.cached_session() as sess:
            sess.run(w.initializer)
        with self.cached_session():
            self.assertEqual(w.eval(), 3.0)
        with self.session():
            with self.assertRaisesOpError("uninitialized value"):
                w.eval()

    @test_util.run_deprecated_v1
    def test_values(self):
        x = tf.constant([1.0, 2.0])
        self.assertAllClose({"a": x, "b": [x]}, {"a": [1.0, 2.0], "b": [np.array([1.0, 2.0])]})
        self.assertShapeEqual(np.zeros(2), x)

    @test_util.run_in_graph_and_eager_modes
    def test_inside_a_session(self):
        self.assertIsNotNone(tf.get_default_session())
        with self.assertRaisesRegexp(ValueError, "no"):
            raise ValueError("no")

    @test_util.run_v2_only
    def test_of_version_2(self):
        self.fail()

    def test_that_fails(self):
        self.assertAllEqual(tf.range(3), [0, 1, 3])


if __name__ == "__main__":
    test.main()
"""


def test_a_programs_own_tests_run(run: Run) -> None:
    ended = run(PROGRAM)
    assert ended.status == 1
    assert re.findall(r"^(?:FAIL|ERROR): (\w+)", ended.err, re.MULTILINE) == ["test_that_fails"]
    assert "FAILED (failures=1, skipped=2)" in ended.err


@pytest.fixture
def case() -> Any:
    made = type("Case", (tf.test.TestCase,), {"runTest": lambda self: None})()
    made.setUp()
    yield made
    made.tearDown()


ACCEPTED: dict[str, tuple[Any, ...]] = {
    "assertAllClose": ([1.0, 2.0], [1.0, 2.0 + 1e-6]),
    "assertAllCloseAccordingToType": (np.float16(1.0), np.float16(1.001)),
    "assertAllEqual": ([1.0, np.nan], [1.0, np.nan]),
    "assertNotAllClose": (1.0, 2.0),
    "assertNotAllEqual": ([1], [2]),
    "assertNear": (1.0, 1.05, 0.1),
    "assertArrayNear": ([1.0, 2.0], [1.05, 2.0], 0.1),
    "assertNDArrayNear": (np.ones(2), np.ones(2), 1e-3),
    "assertAllGreater": ([2, 3], 1),
    "assertAllLess": ([2, 3], 4),
    "assertAllGreaterEqual": ([2, 3], 2),
    "assertAllLessEqual": ([2, 3], 3),
    "assertAllInRange": ([2, 3], 2, 3),
    "assertAllInSet": ([2, 3], {2, 3, 4}),
    "assertStartsWith": ("abc", "ab"),
    "assertItemsEqual": ([1, 2], [2, 1]),
    "assertDeviceEqual": ("/cpu:0", "/device:CPU:0"),
    "assertEmpty": ([],),
    "assertNotEmpty": ([1],),
    "assertLen": ([1], 1),
}
REFUSED: dict[str, tuple[Any, ...]] = {
    "assertAllClose": ([1.0, 2.0], [1.0, 2.1]),
    "assertAllCloseAccordingToType": (np.float32(1.0), np.float32(1.001)),
    "assertAllEqual": ([1.0], [[1.0]]),
    "assertNotAllClose": (1.0, 1.0),
    "assertNotAllEqual": ([1], [1]),
    "assertNear": (1.0, 1.2, 0.1),
    "assertArrayNear": ([1.0, 2.0], [1.05, 2.2], 0.1),
    "assertNDArrayNear": (np.ones(2), np.zeros(2), 1e-3),
    "assertAllGreater": ([1, 3], 1),
    "assertAllLess": ([2, 4], 4),
    "assertAllGreaterEqual": ([1, 3], 2),
    "assertAllLessEqual": ([2, 4], 3),
    "assertAllInRange": ([2.0, np.nan], 2, 3),
    "assertAllInSet": ([2, 5], {2, 3, 4}),
    "assertStartsWith": ("abc", "b"),
    "assertItemsEqual": ([1, 2], [2, 2]),
    "assertDeviceEqual": ("/cpu:0", "/gpu:0"),
    "assertEmpty": ([1],),
    "assertNotEmpty": ([],),
    "assertLen": ([1], 2),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_assertion_accepts_and_refuses(case: Any, name: str) -> None:
    getattr(case, name)(*ACCEPTED[name])
    with pytest.raises(AssertionError):
        getattr(case, name)(*REFUSED[name])


def test_messages_are_compared_with_texts(case: Any) -> None:
    node = tf.NodeDef(name="a", op="Const")
    case.assertProtoEquals('name: "a" op: "Const"', node)
    with pytest.raises(AssertionError):
        case.assertProtoEquals('name: "b" op: "Const"', node)


def test_every_test_begins_with_a_new_graph_and_the_same_seeds(case: Any) -> None:
    drawn = np.random.rand(), case.evaluate(tf.random_uniform([]))
    case.setUp()
    assert tf.get_default_graph().get_operations() == []
    assert tf.get_default_graph().seed == SEED
    assert drawn == (np.random.rand(), case.evaluate(tf.random_uniform([])))


def test_gradients_against_differences() -> None:
    with tf.Graph().as_default(), tf.Session():
        x, w = tf.placeholder(tf.float64, [2, 3]), tf.placeholder(tf.float64, [3, 2])
        y = tf.tanh(tf.matmul(x, w))
        start = [np.arange(6.0).reshape(2, 3) / 6, np.arange(6.0).reshape(3, 2) / 6]
        pairs = tf.test.compute_gradient([x, w], [[2, 3], [3, 2]], y, [2, 2], start)
        assert [p[0].shape for p in pairs] == [(6, 4), (6, 4)]
        assert all(np.allclose(a, b, atol=1e-6) for a, b in pairs)
        assert tf.test.compute_gradient_error(x, [2, 3], tf.stop_gradient(x) * x, [2, 3],
                                              np.ones([2, 3])) > 0.9  # fmt: skip


def test_without_a_session_gradients_cannot_be_measured() -> None:
    with tf.Graph().as_default(), pytest.raises(ValueError, match="default session"):
        tf.test.compute_gradient_error(tf.constant(1.0), [], tf.constant(1.0), [])
