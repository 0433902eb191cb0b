"""``tf.map_fn``, ``foldl``, ``foldr``, ``scan``: a function of the rows of tensors, row by row."""

from typing import Any

from evenkeel.tf1 import nest
from evenkeel.tf1.api.loops import while_loop
from evenkeel.tf1.build import constant, convert, name_scope
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import TensorShape
from evenkeel.tf1.tensor_array import TensorArray

__all__ = ["foldl", "foldr", "map_fn", "scan"]


def map_fn(
    fn: Any, elems: Any, dtype: Any = None, parallel_iterations: int | None = None,
    back_prop: bool = True, swap_memory: bool = False, infer_shape: bool = True,
    name: str | None = None,
) -> Any:  # fmt: skip
    """What ``fn`` gives for each row of ``elems`` (a tensor, or a structure of tensors), stacked.

    ``dtype`` has the structure and the types of what ``fn`` gives, where those are others.

    Source:  TensorFlow 1.15, tf.map_fn

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     sess.run(tf.map_fn(lambda v: v * v, tf.constant([1.0, 2.0])))
    array([1., 4.], dtype=float32)
    """
    _callable(fn)
    with name_scope(name, "map", nest.flatten(elems)):
        flat = [convert(e, name="elem") for e in nest.flatten(elems)]
        types = nest.pack_sequence_as(elems, [e.dtype for e in flat]) if dtype is None else dtype
        if flat[0].shape.ndims == 0:
            raise ValueError("elems must be a 1+ dimensional Tensor, not a scalar")
        count = _count(flat[0])
        arrays = [TensorArray(e.dtype, count) for e in flat]
        rows = [array.unstack(e) for array, e in zip(arrays, flat, strict=True)]
        start = constant(0)
        made = [TensorArray(t, count, infer_shape=infer_shape) for t in nest.flatten(types)]

        def step(i: Any, arrays: Any) -> Any:
            given = nest.pack_sequence_as(elems, [r.read(i) for r in rows])
            found = fn(given)
            nest.assert_same_structure(dtype or elems, found)
            pairs = zip(arrays, nest.flatten(found), strict=True)
            written = [array.write(i, value) for array, value in pairs]
            return i + 1, written

        _, made = while_loop(
            lambda i, _: i < count, step, (start, made), None, parallel_iterations or 10, back_prop,
            swap_memory, maximum_iterations=count,
        )  # fmt: skip
        return nest.pack_sequence_as(types, _stacked(made, flat))


def _callable(fn: Any) -> None:
    if not callable(fn):
        raise TypeError("fn must be callable.")


def _count(first: Tensor, if_zero: bool = False) -> Any:
    """The number of rows: a number where it is known."""
    from evenkeel.tf1.api.arrays import shape

    known = first.shape.as_list()[0] if first.shape.ndims else None
    return known if known or (if_zero and known == 0) else shape(first)[0]


def _rows(tensor: Tensor, count: Any) -> TensorArray:
    return TensorArray(tensor.dtype, count).unstack(tensor)


def _stacked(arrays: list[TensorArray], flat: list[Tensor]) -> list[Tensor]:
    made = [array.stack() for array in arrays]
    count = flat[0].shape.as_list()[0] if flat[0].shape.ndims else None
    for tensor in made:
        tensor.set_shape(TensorShape([count]).concatenate(tensor.shape[1:]))
    return made


def foldl(
    fn: Any, elems: Any, initializer: Any = None, parallel_iterations: int = 10,
    back_prop: bool = True, swap_memory: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """``fn(fn(initializer, first row), second row)`` and so on; without one it begins with the first.

    Source:  TensorFlow 1.15, tf.foldl

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     sess.run(tf.foldl(lambda a, v: a - v, tf.constant([1.0, 2.0, 3.0])))
    np.float32(-4.0)
    """
    _callable(fn)
    with name_scope(name, "foldl", nest.flatten(elems)):
        count, rows = _as_rows(elems)
        if initializer is None:
            start, first = nest.map_structure(lambda r: r.read(0), rows), constant(1)
        else:
            start, first = initializer, constant(0)

        def step(i: Any, so_far: Any) -> Any:
            found = fn(so_far, nest.map_structure(lambda r: r.read(i), rows))
            return [i + 1, found]

        return while_loop(
            lambda i, _: i < count, step, [first, start], None, parallel_iterations, back_prop,
            swap_memory, maximum_iterations=count,
        )[1]  # fmt: skip


def foldr(
    fn: Any, elems: Any, initializer: Any = None, parallel_iterations: int = 10,
    back_prop: bool = True, swap_memory: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """``foldl`` from the last row to the first.

    Source:  TensorFlow 1.15, tf.foldr

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     sess.run(tf.foldr(lambda a, v: a - v, tf.constant([1.0, 2.0, 3.0])))
    np.float32(0.0)
    """
    _callable(fn)
    with name_scope(name, "foldr", nest.flatten(elems)):
        count, rows = _as_rows(elems)
        if initializer is None:
            first = count - 1
            start = nest.map_structure(lambda r: r.read(first), rows)
        else:
            first, start = count, initializer

        def step(i: Any, so_far: Any) -> Any:
            i = i - 1
            return [i, fn(so_far, nest.map_structure(lambda r: r.read(i), rows))]

        return while_loop(
            lambda i, _: i > 0, step, [first, start], None, parallel_iterations, back_prop,
            swap_memory, maximum_iterations=count,
        )[1]  # fmt: skip


def _as_rows(elems: Any) -> tuple[Any, Any]:
    """(the number of rows, an array in the place of each tensor)."""
    flat = [convert(e, name="elem") for e in nest.flatten(elems)]
    count = _count(flat[0])
    return count, nest.pack_sequence_as(elems, [_rows(e, count) for e in flat])


def scan(
    fn: Any, elems: Any, initializer: Any = None, parallel_iterations: int = 10,
    back_prop: bool = True, swap_memory: bool = False, infer_shape: bool = True,
    reverse: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """What ``foldl`` has after each row, stacked; from the last row on with ``reverse``.

    Source:  TensorFlow 1.15, tf.scan

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     sess.run(tf.scan(lambda a, v: a + v, tf.constant([1.0, 2.0, 3.0])))
    array([1., 3., 6.], dtype=float32)
    """
    _callable(fn)
    form = elems if initializer is None else initializer
    with name_scope(name, "scan", nest.flatten(elems)):
        flat = [convert(e, name="elem") for e in nest.flatten(elems)]
        count = _count(flat[0], if_zero=True)
        arrays = [TensorArray(e.dtype, count, element_shape=e.shape[1:]) for e in flat]
        rows = [array.unstack(e) for array, e in zip(arrays, flat, strict=True)]

        def first() -> Any:
            return count - 1 if reverse else 0

        if initializer is None:
            start = [row.read(first()) for row in rows]
        else:
            start = [convert(v) for v in nest.flatten(initializer)]
        made = [
            TensorArray(v.dtype, count, infer_shape=infer_shape,
                        element_shape=v.shape if infer_shape else None)
            for v in start
        ]  # fmt: skip
        if initializer is None:
            made = [array.write(first(), v) for array, v in zip(made, start, strict=True)]

        def step(i: Any, so_far: Any, arrays: Any) -> Any:
            given = nest.pack_sequence_as(elems, [row.read(i) for row in rows])
            found = fn(nest.pack_sequence_as(form, so_far), given)
            nest.assert_same_structure(form, found)
            flat_found = nest.flatten(found)
            pairs = zip(arrays, flat_found, strict=True)
            written = [array.write(i, value) for array, value in pairs]
            return (i - 1 if reverse else i + 1), flat_found, written

        done = 1 if initializer is None else 0
        *_, made = while_loop(
            (lambda i, *_: i >= 0) if reverse else (lambda i, *_: i < count), step,
            (count - 1 - done if reverse else done, start, made), None, parallel_iterations,
            back_prop, swap_memory, maximum_iterations=count,
        )  # fmt: skip
        return nest.pack_sequence_as(form, _stacked(made, flat))
