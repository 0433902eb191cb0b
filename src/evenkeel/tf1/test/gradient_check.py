"""Gradients as ``tf.gradients`` gives them, and as differences give them."""

from typing import Any

import numpy as np

from evenkeel.tf1 import build, stacks
from evenkeel.tf1.api.gradients import gradients
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import as_shape


def compute_gradient(
    x: Any, x_shape: Any, y: Any, y_shape: Any, x_init_value: Any = None, delta: float = 1e-3,
    init_targets: Any = None, extra_feed_dict: Any = None,
) -> Any:  # fmt: skip
    """(the Jacobian by ``tf.gradients``, the Jacobian by central differences).

    Math:    rows are the values of x, columns those of y; (y(x + δ e) − y(x − δ e)) / 2δ
    Shapes:  [size of x, size of y], complex values as two; a list of pairs for a list of x
    Raises:  ValueError without a default session
    Source:  TensorFlow 1.15, tf.test.compute_gradient
    """
    session = stacks.default_session()
    if session is None:
        raise ValueError("compute_gradient needs a default session: with tf.Session():")
    for target in init_targets if isinstance(init_targets, list | tuple) else [init_targets]:
        if target is not None:
            session.run(getattr(target, "initializer", target))
    many = isinstance(x, list)
    xs, shapes = (x, x_shape) if many else ([x], [x_shape])
    starts = x_init_value if many else [x_init_value]
    starts = [None] * len(xs) if starts is None else starts
    values = [_start(*given) for given in zip(xs, shapes, starts, strict=True)]
    fed = dict(zip(xs, values, strict=True)) | (extra_feed_dict or {})
    pairs = [_pair(session, t, y, y_shape, fed, delta) for t in xs]
    return pairs if many else pairs[0]


def compute_gradient_error(
    x: Any, x_shape: Any, y: Any, y_shape: Any, x_init_value: Any = None, delta: float = 1e-3,
    init_targets: Any = None, extra_feed_dict: Any = None,
) -> float:  # fmt: skip
    """The greatest difference between both Jacobians of ``compute_gradient``."""
    found = compute_gradient(
        x, x_shape, y, y_shape, x_init_value, delta, init_targets, extra_feed_dict
    )
    pairs = found if isinstance(found, list) else [found]
    return max((float(np.fabs(a - b).max()) for a, b in pairs if a.size), default=0.0)


def _start(x: Tensor, shape: Any, value: Any) -> Any:
    kind = x.dtype.base_dtype.as_numpy_dtype
    if value is None:
        sizes: Any = as_shape(shape).as_list()
        drawn: Any = np.random.random_sample(sizes)  # TensorFlow's way: its test case seeds it
        if np.issubdtype(kind, np.complexfloating):
            drawn = drawn + 1j * np.random.random_sample(sizes)
        value = drawn
    return np.array(value, kind)


def _pair(session: Any, x: Tensor, y: Tensor, y_shape: Any, fed: Any, delta: float) -> Any:
    with x.graph.as_default():
        given = build.constant(1.0, dtype=y.dtype, shape=as_shape(y_shape).as_list())
        (dx,) = gradients(y, x, build.apply("Identity", given))
    exact = _exact(session, x, dx, given, fed)
    return exact, _measured(session, x, y, given, fed, delta)


def _exact(session: Any, x: Tensor, dx: Any, given: Tensor, fed: Any) -> Any:
    start = _zeros(given)
    steps = _real(start)
    jacobian = np.zeros((_real(fed[x]).size, steps.size), _real(fed[x]).dtype)
    if dx is None:
        return jacobian
    for column in range(steps.size):
        steps[column] = 1
        found = session.run(dx, {**fed, given: start})
        if hasattr(found, "indices"):  # only some rows have a gradient
            whole = np.zeros_like(fed[x])
            np.add.at(whole, found.indices, found.values)
            found = whole
        jacobian[:, column] = _real(np.ascontiguousarray(found))
        steps[column] = 0
    return jacobian


def _measured(session: Any, x: Tensor, y: Tensor, given: Tensor, fed: Any, delta: float) -> Any:
    moved = fed[x].copy()
    places = _real(moved)
    rows = []
    for row in range(places.size):
        before = places[row]
        ends = []
        for value in (before - delta, before + delta):
            places[row] = value
            ends.append(_real(np.array(session.run(y, {**fed, x: moved}))))
        places[row] = before
        rows.append((ends[1] - ends[0]) / (2 * delta))
    width = _real(_zeros(given)).size
    return np.array(rows, places.dtype).reshape(places.size, width)


def _zeros(like: Tensor) -> Any:
    sizes: Any = like.shape.as_list()
    return np.zeros(sizes, like.dtype.as_numpy_dtype)


def _real(values: Any) -> Any:
    """The numbers as a vector that shares their memory; a complex number is two."""
    flat = values.reshape(-1)
    return flat.view(flat.real.dtype) if np.iscomplexobj(flat) else flat
