"""Products over chosen axes, through one product of matrices."""

from math import prod
from typing import Any

import numpy as np

from evenkeel.tf1 import build
from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.reductions import reduce_prod
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.nodes import Tensor

__all__ = ["tensordot"]


def tensordot(a: Any, b: Any, axes: Any, name: Any = None) -> Any:
    """The sum of products over these axes of a and b; the other axes side by side."""
    with name_scope(name, "Tensordot", [a, b, axes]) as scope:
        first, second = convert(a, name="a"), convert(b, name="b")
        gone_a, gone_b = _axes(first, axes)
        left, free_a, known_a = _matrix(first, gone_a, flipped=False)
        right, free_b, known_b = _matrix(second, gone_b, flipped=True)
        product = apply("MatMul", left, right)
        if isinstance(free_a, list) and isinstance(free_b, list):
            return arrays.reshape(product, free_a + free_b, name=scope)
        whole = arrays.concat([convert(f, "int32") for f in (free_a, free_b)], 0)
        made = arrays.reshape(product, whole, name=scope)
        if known_a is not None and known_b is not None:
            made.set_shape(known_a + known_b)
        return made


def _axes(a: Tensor, axes: Any) -> tuple[list[int], list[int]]:
    if isinstance(axes, int | np.integer):
        rank = len(a.shape)
        return list(range(rank - int(axes), rank)), list(range(int(axes)))
    pair: list[Any] = [[v] if isinstance(v, int | np.integer) else list(v) for v in axes]
    if len(pair) != 2 or len(pair[0]) != len(pair[1]):
        raise ValueError("'axes' must be an integer or have length 2.")
    return pair[0], pair[1]


def _matrix(x: Tensor, axes: list[int], flipped: bool) -> Any:
    """X as a matrix, the sizes of its other axes, and those as far as they are known."""
    rank = len(x.shape)
    gone = [axis % rank for axis in axes]
    free = [axis for axis in range(rank) if axis not in gone]
    order = gone + free if flipped else free + gone
    sizes: list[Any] = x.shape.as_list()
    if x.shape.is_fully_defined():
        rows, columns = prod(sizes[i] for i in free), prod(sizes[i] for i in gone)
        shape = [columns, rows] if flipped else [rows, columns]
        made = arrays.reshape(arrays.transpose(x, order), shape)
        return made, [sizes[i] for i in free], [sizes[i] for i in free]
    from evenkeel.tf1.api.indexing import gather

    summed = build.constant(gone, "int32", name="axes")
    kept = build.constant(free, "int32", name="free")
    shape_now = apply("Shape", x)
    free_sizes = gather(shape_now, kept)
    gone_sizes = gather(shape_now, summed)
    rows, columns = reduce_prod(free_sizes), reduce_prod(gone_sizes)
    if flipped:
        order_, shape_ = arrays.concat([summed, kept], 0), arrays.stack([columns, rows])
    else:
        order_, shape_ = arrays.concat([kept, summed], 0), arrays.stack([rows, columns])
    made = arrays.reshape(arrays.transpose(x, order_), shape_)
    return made, free_sizes, [sizes[i] for i in free]
