"""Gradients of sums, means, products and extremes over axes."""

from typing import Any

import numpy as np

from evenkeel.tf1.api.arrays import concat, rank, reshape, shape, tile, transpose
from evenkeel.tf1.api.arrays import size as size_of
from evenkeel.tf1.api.constants import fill, range
from evenkeel.tf1.api.indexing import gather
from evenkeel.tf1.api.math import cast, cumprod, cumsum, divide, truediv
from evenkeel.tf1.api.reductions import reduce_prod, reduce_sum
from evenkeel.tf1.build import apply, constant
from evenkeel.tf1.dtypes import int32
from evenkeel.tf1.fold import constant_value, folded
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops.table import GRADIENTS

rule = GRADIENTS.add
_KEY = ("__reduced_shapes",)  # a collection of the graph: sizes and axes -> sizes kept, repeats


def reduced_shape(sizes: Any, axes: Any) -> Any:
    """The sizes with 1 in the place of each reduced axis, as nodes."""
    known, chosen = cast(sizes, int32), cast(axes, int32)
    count = size_of(known)
    chosen = (chosen + count) % count
    ones_shape = shape(chosen)
    places = [range(count), chosen]
    return apply("DynamicStitch", places, [known, fill(ones_shape, 1)])


def _quotient(x: Any, y: Any) -> Any:
    """X // y, with 1 for a y of 0."""
    return x // apply("Maximum", y, 1)


def _known_parts(op: Operation, axes: Any) -> Any:
    """The sizes kept and the repeats of known sizes; TensorFlow makes nodes once for each pair."""
    sizes = tuple(op.inputs[0].shape.as_list())
    key = (sizes, tuple(int(v) for v in axes.reshape(-1)))
    kept = op.graph.get_collection_ref(_KEY)
    if not kept:
        kept.append({})
    if key not in kept[0]:
        whole = reduced_shape(sizes, key[1])
        outputs = tuple(int(v) for v in folded(whole))
        repeats = _quotient(sizes, outputs)
        kept[0][key] = outputs, tuple(int(v) for v in folded(repeats))
    return kept[0][key]


def _sum(op: Operation, grad: Any) -> Any:
    x = op.inputs[0]
    axes = constant_value(op.inputs[1])
    if x.shape.ndims is not None and axes is not None:
        ranks = x.shape.ndims
        if np.array_equal(axes, np.arange(ranks)):
            spread = reshape(grad, [1] * ranks)
            if x.shape.is_fully_defined():
                return tile(spread, constant(x.shape.as_list(), int32))
            return tile(spread, shape(x))
        if x.shape.is_fully_defined():
            outputs, repeats = _known_parts(op, axes)
            return tile(reshape(grad, outputs), repeats)
    sizes = shape(x)
    with op.graph.colocate_with(sizes):
        outputs = reduced_shape(sizes, op.inputs[1])
        repeats = _quotient(sizes, outputs)
    return tile(reshape(grad, outputs), repeats)


@rule("Sum")
def summed(op: Operation, grad: Any) -> list[Any]:
    """The gradient repeated."""
    return [_sum(op, grad), None]


@rule("Mean")
def mean(op: Operation, grad: Any) -> list[Any]:
    """The gradient repeated, over the number of values."""
    spread = _sum(op, grad)
    x, y = op.inputs[0].shape, op.outputs[0].shape
    if x.is_fully_defined() and y.is_fully_defined():
        count = (x.num_elements() or 0) // max(y.num_elements() or 0, 1)
        factor: Any = constant(count, spread.dtype)
    else:
        inputs, outputs = shape(op.inputs[0]), shape(op.outputs[0])
        factor = _quotient(reduce_prod(inputs), reduce_prod(outputs))
    return [truediv(spread, cast(factor, spread.dtype)), None]


@rule("Max", "Min")
def extreme(op: Operation, grad: Any) -> list[Any]:
    """The gradient to the values chosen, in equal parts."""
    sizes = shape(op.inputs[0])
    outputs = reduced_shape(sizes, op.inputs[1])
    y = reshape(op.outputs[0], outputs)
    spread = reshape(grad, outputs)
    chosen = cast(apply("Equal", y, op.inputs[0]), spread.dtype)
    count = reshape(reduce_sum(chosen, op.inputs[1]), outputs)
    return [divide(chosen, count) * spread, None]


@rule("Prod")
def product(op: Operation, grad: Any) -> list[Any]:
    """The product of all other values, times the gradient."""
    x = op.inputs[0]
    sizes = shape(x)
    axes = reshape(op.inputs[1], [-1])
    outputs = reduced_shape(sizes, op.inputs[1])
    repeats = _quotient(sizes, outputs)
    spread = tile(reshape(grad, outputs), repeats)
    with op.graph.device("/cpu:0"):
        count = rank(x)
        reduced = cast((axes + count) % count, int32)
        other = apply("ListDiff", range(0, count), reduced)[0]
        perm = concat([reduced, other], 0)
        inside = reduce_prod(gather(sizes, reduced))
        outside = reduce_prod(gather(sizes, other))
    others, back = _products_of_others(x, perm, inside, outside)
    made = spread * transpose(others, back)
    return [reshape(made, sizes), None]


def _products_of_others(x: Tensor, perm: Any, inside: Any, outside: Any) -> Any:
    turned = transpose(x, perm)
    sizes = shape(turned)
    rows = reshape(turned, (inside, outside))
    before = cumprod(rows, axis=0, exclusive=True)
    after = cumprod(rows, axis=0, exclusive=True, reverse=True)
    return reshape(before * after, sizes), apply("InvertPermutation", perm)


@rule("Cumsum")
def running_sum(op: Operation, grad: Any) -> list[Any]:
    """The running sum from the other end."""
    axis, attrs = op.inputs[1], op.attrs
    return [cumsum(grad, axis, attrs["exclusive"], not attrs["reverse"]), None]


@rule("Cumprod")
def running_product(op: Operation, grad: Any) -> list[Any]:
    """The running sum of products from the other end, over x."""
    x, axis = op.inputs
    attrs = op.attrs
    whole = cumprod(x, axis, exclusive=attrs["exclusive"], reverse=attrs["reverse"])
    total = cumsum(whole * grad, axis, attrs["exclusive"], not attrs["reverse"])
    return [total / x, None]


@rule("EuclideanNorm")
def euclidean_norm(op: Operation, grad: Any) -> list[Any]:
    """X over the norm."""
    y = op.outputs[0]
    if not op.attrs["keep_dims"]:
        outputs = reduced_shape(shape(op.inputs[0]), op.inputs[1])
        y, grad = reshape(y, outputs), reshape(grad, outputs)
    return [truediv(op.inputs[0], y / grad), None]
