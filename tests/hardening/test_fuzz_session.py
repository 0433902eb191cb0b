"""Sessions over drawn graphs: NumPy's values for every fetch and feed, errors for wrong ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import evenkeel.tf1 as tf
from hardening.examples import fuzz

Array = NDArray[Any]
SHAPE = (3, 4)
UNARY: dict[str, tuple[Callable[[Any], Any], Callable[[Array], Array]]] = {
    "tanh": (tf.tanh, np.tanh),
    "abs": (tf.abs, np.abs),
    "square": (tf.square, np.square),
    "neg": (lambda x: -x, lambda x: -x),
    "relu": (tf.nn.relu, lambda x: np.maximum(x, 0)),
    "centre": (lambda x: x - tf.reduce_mean(x, 0), lambda x: x - x.mean(0)),
    "turned": (
        lambda x: tf.transpose(x[:, ::-1] + 1.0)[::-1, :],
        lambda x: (x[:, ::-1] + 1).T[::-1],
    ),
    "softmax": (
        tf.nn.softmax,
        lambda x: (
            np.exp(x - x.max(-1, keepdims=True))
            / np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)
        ),
    ),
    "cond": (
        lambda x: tf.cond(tf.reduce_sum(x) > 0.1, lambda: x + 1.0, lambda: x * 0.5),
        lambda x: x + 1 if x.sum() > 0.1 else x * 0.5,
    ),
    "loop": (
        lambda x: tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 0.5 + x), [0, x])[1],
        lambda x: ((x * 0.5 + x) * 0.5 + x) * 0.5 + x,
    ),
}
BINARY: dict[str, tuple[Callable[..., Any], Callable[..., Array]]] = {
    "add": (lambda a, b: a + b, np.add),
    "times": (lambda a, b: a * b, np.multiply),
    "less": (lambda a, b: tf.where(a < b, a, b), np.minimum),
    "first": (lambda a, b: a * 1.0, lambda a, b: a * 1.0),
    "matmul": (lambda a, b: tf.matmul(a, b, transpose_b=True), lambda a, b: a @ b.T),
}


class Graph:
    """A drawn graph and its values by NumPy: ``nodes`` are tensors with the function that says them."""

    def __init__(self, plan: list[tuple[str, int, int]]) -> None:
        self.graph = tf.Graph()
        self.nodes: list[Any] = []
        self.says: list[tuple[str, tuple[int, ...]]] = []
        with self.graph.as_default():
            self.x = tf.placeholder(tf.float32, [None, SHAPE[1]], "x")
            start = tf.constant_initializer(np.full(SHAPE, 0.25, np.float32))
            self.variable = tf.get_variable("v", SHAPE, tf.float32, start)
            self._add(self.x, "x", ())
            self._add(self.variable.read_value(), "v", ())
            for name, a, b in plan:
                self._grow(name, a % len(self.nodes), b % len(self.nodes))
            step = tf.fill(SHAPE, 0.5)
            self.move = tf.assign_add(self.variable, step)
            self.start = tf.global_variables_initializer()

    def _grow(self, name: str, a: int, b: int) -> None:
        one, other = self.nodes[a], self.nodes[b]
        if name in UNARY:
            self._add(UNARY[name][0](one), name, (a,))
            return
        try:
            self._add(BINARY[name][0](one, other), name, (a, b))
        except ValueError:  # shapes that do not fit, said at construction
            shapes = one.shape.as_list(), other.shape.as_list()
            assert shapes[0] != shapes[1], shapes

    def _add(self, tensor: Any, name: str, of: tuple[int, ...]) -> None:
        self.nodes.append(tensor)
        self.says.append((name, of))

    def value(self, at: int, fed: dict[int, Array], variable: Array) -> Array:
        if at in fed:
            return fed[at]
        name, of = self.says[at]
        if name == "v":
            return variable
        if name == "x":
            raise LookupError("x was not fed")
        rule = UNARY[name][1] if name in UNARY else BINARY[name][1]
        return rule(*(self.value(k, fed, variable) for k in of))


plans = st.lists(
    st.tuples(st.sampled_from([*UNARY, *BINARY]), st.integers(0, 30), st.integers(0, 30)),
    max_size=8,
)
WRONG = ("shape", "dtype", "unfed", "foreign", "name", "none", "fed operation")


@fuzz
@given(data=st.data(), plan=plans)
def test_runs_of_any_graph(data: st.DataObject, plan: list[tuple[str, int, int]]) -> None:
    made = Graph(plan)
    variable = np.full(SHAPE, 0.25, np.float32)
    generator = np.random.default_rng(0)
    with tf.Session(graph=made.graph) as session:
        with pytest.raises(tf.errors.FailedPreconditionError, match="v"):
            session.run(made.variable)
        session.run(made.start)
        for _ in range(data.draw(st.integers(1, 3))):
            if data.draw(st.integers(0, 3)) == 0:
                _wrong(made, session, data.draw(st.sampled_from(WRONG)))
            if data.draw(st.booleans()):
                session.run(made.move.op if data.draw(st.booleans()) else made.move)
                variable = variable + np.float32(0.5)
            fed = {0: generator.normal(size=SHAPE).astype(np.float32)}
            other = data.draw(st.integers(0, len(made.nodes) - 1))
            if data.draw(st.integers(0, 2)) == 0 and made.nodes[other].shape.as_list() == [*SHAPE]:
                fed[other] = generator.normal(size=SHAPE).astype(np.float32)
            _check(made, session, data, fed, variable)
        assert np.array_equal(session.run(made.variable), variable)
    with pytest.raises(RuntimeError, match="closed Session"):
        session.run(made.variable)


def _check(
    made: Graph, session: Any, data: st.DataObject, fed: dict[int, Array], variable: Array
) -> None:
    wanted = data.draw(st.lists(st.integers(0, len(made.nodes) - 1), min_size=1, max_size=3))
    tensors = [made.nodes[k] for k in wanted]
    fetches: Any = {"a": tensors, "b": (tensors[0].name, [tensors[-1]])}
    feeds = {made.nodes[k] if k % 2 else made.nodes[k].name: v for k, v in fed.items()}
    try:
        want = [made.value(k, fed, variable) for k in wanted]
    except ValueError:  # sizes that only the run knows do not fit
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(fetches, feeds)
        return
    got = session.run(fetches, feeds)
    assert got["a"][0].dtype == np.float32
    flat = [*got["a"], got["b"][0], got["b"][1][0]]
    for mine, true in zip(flat, [*want, want[0], want[-1]], strict=True):
        assert mine.shape == true.shape
        np.testing.assert_allclose(mine, true, rtol=2e-4, atol=1e-5 * (1 + np.abs(true).max()))
    for mine in flat:
        mine[...] = 7  # what is fetched is the caller's: no variable may see it


def _wrong(made: Graph, session: Any, kind: str) -> None:
    """A wrong call ends in the error that TensorFlow raises, and changes nothing."""
    x = np.zeros(SHAPE, np.float32)
    if kind == "shape":
        with pytest.raises(ValueError, match="Cannot feed value of shape"):
            session.run(made.nodes[-1], {made.x: np.zeros((3, 5), np.float32)})
    elif kind == "dtype":
        with pytest.raises((ValueError, TypeError)):
            session.run(made.nodes[-1], {made.x: np.full(SHAPE, "word")})
    elif kind == "unfed":
        with pytest.raises(tf.errors.InvalidArgumentError, match="x"):
            session.run(made.nodes[0])
    elif kind == "foreign":
        with tf.Graph().as_default():
            other = tf.constant(1.0)
        with pytest.raises(ValueError, match="is not an element of this graph"):
            session.run(other)
    elif kind == "name":
        with pytest.raises((KeyError, ValueError), match="nowhere"):
            session.run("nowhere:0", {made.x: x})
    elif kind == "none":
        with pytest.raises(TypeError, match="None"):
            session.run([made.nodes[0], None], {made.x: x})
    else:
        with pytest.raises(TypeError):
            session.run(made.nodes[-1], {made.start: x})
