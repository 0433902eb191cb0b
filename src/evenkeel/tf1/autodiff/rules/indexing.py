"""Gradients of what picks values by index."""

from typing import Any

from evenkeel.tf1.api.arrays import concat, expand_dims, reshape, shape, stack, transpose
from evenkeel.tf1.api.arrays import size as size_of
from evenkeel.tf1.api.constants import range, zeros
from evenkeel.tf1.api.indexing import gather
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.reductions import reduce_prod
from evenkeel.tf1.api.segments import unsorted_segment_sum
from evenkeel.tf1.build import apply
from evenkeel.tf1.dtypes import int32, int64
from evenkeel.tf1.fold import constant_value
from evenkeel.tf1.nodes import IndexedSlices, Operation
from evenkeel.tf1.ops.table import GRADIENTS

rule = GRADIENTS.add


def _sizes(op: Operation) -> Any:
    with op.graph.colocate_with(op.inputs[0].op):
        return cast(shape(op.inputs[0], out_type=int64), int32)


def _rows(grad: Any, sizes: Any, indices: Any) -> IndexedSlices:
    count = expand_dims(size_of(indices), 0)
    values = reshape(grad, concat([count, sizes[1:]], 0))
    return IndexedSlices(values, reshape(indices, count), sizes)


@rule("Gather")
def gathered_v1(op: Operation, grad: Any) -> list[Any]:
    """The rows."""
    return [_rows(grad, _sizes(op), op.inputs[1]), None]


@rule("GatherV2")
def gathered(op: Operation, grad: Any) -> list[Any]:
    """The rows; along another axis than the first, a sum by index."""
    sizes, indices = _sizes(op), op.inputs[1]
    if constant_value(op.inputs[2]) == 0:
        return [_rows(grad, sizes, indices), None, None]
    return [_along(op, grad, sizes), None, None]


def _along(op: Operation, grad: Any, sizes: Any) -> Any:
    """The gradient with the gathered axis first, summed by index, and the axis put back."""
    indices, axis = op.inputs[1], op.inputs[2]
    expand_dims(size_of(indices), 0)  # TensorFlow makes this twice and uses one
    outer = sizes[:axis]
    whole = concat([outer, [-1], sizes[axis:][1:]], 0)
    count, before = size_of(whole), size_of(outer)
    batch = range(0)
    front, back = range(0, before), range(before + 1, count)
    values = reshape(grad, whole)
    turned = transpose(values, concat([batch, [before], front, back], 0))
    segments_ = sizes[axis]
    rows = reshape(indices, expand_dims(size_of(indices), 0))
    made = unsorted_segment_sum(turned, rows, segments_)
    return transpose(made, concat([batch, front + 1, [0], back], 0))


@rule("GatherNd")
def gathered_nd(op: Operation, grad: Any) -> list[Any]:
    """The gradient added at the index tuples."""
    x, indices = op.inputs
    return [apply("ScatterNd", indices, grad, shape(x, out_type=indices.dtype)), None]


@rule("ScatterNd")
def scattered_nd(op: Operation, grad: Any) -> list[Any]:
    """The values at the index tuples."""
    return [None, apply("GatherNd", grad, op.inputs[0]), None]


@rule("TopK", "TopKV2")
def largest(op: Operation, grad: Any, _indices: Any) -> list[Any]:
    """The gradient at the places of the largest."""
    places = op.outputs[1]
    sizes, taken = shape(op.inputs[0]), shape(places)
    columns = gather(cast(taken, int64), size_of(taken) - 1)
    rows = reshape(places, stack([-1, columns]))
    width = gather(cast(sizes, int64), size_of(sizes) - 1)
    height = cast(shape(rows)[0], int64)
    starts = expand_dims(range(0, height * width, width), -1)
    index = expand_dims(reshape(rows + cast(starts, int32), [-1]), -1)
    values = reshape(grad, [-1])
    spread = apply("ScatterNd", index, values, [reduce_prod(sizes)])
    return [reshape(spread, sizes), zeros([], int32)][: len(op.inputs)]
