"""Gradients of what moves values: shapes, joins, parts, paddings."""

from typing import Any

from evenkeel.tf1.api.arrays import (
    concat,
    pad,
    rank,
    reshape,
    reverse,
    shape,
    shape_n,
    slice,
    split,
    squeeze,
    stack,
    transpose,
    unstack,
)
from evenkeel.tf1.api.arrays import size as size_of
from evenkeel.tf1.api.constants import range
from evenkeel.tf1.api.reductions import reduce_sum
from evenkeel.tf1.build import apply, constant
from evenkeel.tf1.fold import constant_value
from evenkeel.tf1.loop_context import output_context
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.table import GRADIENTS

rule = GRADIENTS.add
MANY = 16  # of more inputs than this, TensorFlow splits the gradient instead of slicing it


@rule("Reshape", "ExpandDims")
def reshaped(op: Operation, grad: Any) -> list[Any]:
    """The gradient in the shape that the value had."""
    return [reshape(grad, shape(op.inputs[0])), None]


@rule("Squeeze")
def squeezed(op: Operation, grad: Any) -> list[Any]:
    """The gradient in the shape that the value had."""
    return [reshape(grad, shape(op.inputs[0]))]


@rule("Fill")
def filled(op: Operation, grad: Any) -> list[Any]:
    """The sum, to the one value."""
    return [None, reduce_sum(grad)]


@rule("BroadcastTo")
def broadcast(op: Operation, grad: Any) -> list[Any]:
    """The sum over the axes that were repeated."""
    from evenkeel.tf1.autodiff.broadcasting import _run_time

    to, _ = _run_time(shape(op.inputs[0]), op.inputs[1])
    return [to.gradient(grad), None]


@rule("Pack")
def packed(op: Operation, grad: Any) -> list[Any]:
    """The slices."""
    return list(unstack(grad, num=op.attrs["N"], axis=op.attrs["axis"]))


@rule("Unpack")
def unpacked(op: Operation, *grads: Any) -> list[Any]:
    """The gradients side by side."""
    return [stack(list(grads), axis=op.attrs["axis"])]


def _sizes(inputs: list[Any]) -> list[Any]:
    found = []
    for value in inputs:
        found.append(shape(value))
        if found[-1].op.type != "Const":
            return list(shape_n(inputs))
    return found


def _joined(grad: Any, axis: Any, inputs: list[Any]) -> list[Any]:
    if len(inputs) == 1:
        return [grad]
    if axis.op.type == "Const" and output_context(grad.op) is not output_context(axis.op):
        axis = constant(constant_value(axis), axis.dtype)  # not brought into a loop
    place = axis % rank(inputs[0])
    sizes = _sizes(inputs)
    if len(sizes) > MANY:
        along = squeeze(slice(stack(sizes, axis=1), [place, 0], [1, -1]))
        return list(split(grad, along, place, num=len(sizes)))
    offsets = apply("ConcatOffset", place, sizes)
    pairs = zip(offsets, sizes, strict=True)
    return [slice(grad, offset, size) for offset, size in pairs]


@rule("ConcatV2")
def concatenated(op: Operation, grad: Any) -> list[Any]:
    """The parts."""
    return [*_joined(grad, op.inputs[-1], op.inputs[:-1]), None]


@rule("Concat")
def concatenated_v1(op: Operation, grad: Any) -> list[Any]:
    """The parts."""
    return [None, *_joined(grad, op.inputs[0], op.inputs[1:])]


@rule("Split")
def parted(op: Operation, *grads: Any) -> list[Any]:
    """The gradients joined."""
    return [None, concat(list(grads), op.inputs[0])]


@rule("SplitV")
def parted_unevenly(op: Operation, *grads: Any) -> list[Any]:
    """The gradients joined."""
    return [concat(list(grads), op.inputs[2]), None, None]


@rule("Slice")
def sliced(op: Operation, grad: Any) -> list[Any]:
    """The gradient among zeros."""
    x, begin = op.inputs[0], op.inputs[1]
    ranks = rank(x)
    taken = shape(op.outputs[0])
    column = stack([ranks, 1])
    before = reshape(begin, column)
    after = reshape(shape(x) - taken - begin, column)
    return [pad(grad, concat([before, after], 1)), None, None]


@rule("StridedSlice")
def sliced_with_steps(op: Operation, grad: Any) -> list[Any]:
    """The gradient among zeros."""
    begin, end, strides = op.inputs[1:]
    sizes = shape(op.inputs[0], out_type=begin.dtype)
    masks = {k: v for k, v in op.attrs.items() if k.endswith("_mask")}
    return [apply("StridedSliceGrad", sizes, begin, end, strides, grad, **masks), None, None, None]


@rule("StridedSliceGrad")
def sliced_with_steps_back(op: Operation, grad: Any) -> list[Any]:
    """The same slice."""
    _, begin, end, strides, _ = op.inputs
    masks = {k: v for k, v in op.attrs.items() if k.endswith("_mask")}
    return [None, None, None, None, apply("StridedSlice", grad, begin, end, strides, **masks)]


@rule("Tile")
def tiled(op: Operation, grad: Any) -> list[Any]:
    """The sum over the repeats."""
    sizes = shape(op.inputs[0])
    parts = reshape(transpose(stack([op.inputs[1], sizes])), [-1])
    axes = range(0, size_of(parts), 2)
    made = reduce_sum(reshape(grad, parts), axes)
    made.set_shape(op.inputs[0].shape)
    return [made, None]


@rule("Pad", "PadV2")
def padded(op: Operation, grad: Any) -> list[Any]:
    """The part in the middle."""
    x, paddings = op.inputs[0], op.inputs[1]
    column = slice(paddings, [0, 0], stack([rank(x), 1]))
    begin = reshape(column, [-1])
    sizes = shape(x)
    return [slice(grad, begin, sizes), *[None] * (len(op.inputs) - 1)]


@rule("MirrorPad")
def mirrored(op: Operation, grad: Any) -> list[Any]:
    """The part in the middle, and what was mirrored added to it."""
    return [apply("MirrorPadGrad", grad, op.inputs[1], mode=op.attrs["mode"]), None]


@rule("MirrorPadGrad")
def mirrored_back(op: Operation, grad: Any) -> list[Any]:
    """The gradient mirrored."""
    return [apply("MirrorPad", grad, op.inputs[1], mode=op.attrs["mode"]), None]


@rule("ReverseV2")
def reversed_(op: Operation, grad: Any) -> list[Any]:
    """The gradient in opposite order."""
    return [reverse(grad, op.inputs[1]), None]


def _blocks(kind: str, other: str) -> None:
    @rule(kind)
    def moved(op: Operation, grad: Any) -> list[Any]:
        attrs = {k: op.attrs[k] for k in ("block_size", "data_format")}
        return [apply(other, grad, **attrs)]


_blocks("SpaceToDepth", "DepthToSpace")
_blocks("DepthToSpace", "SpaceToDepth")


@rule("BatchToSpaceND")
def batch_to_space(op: Operation, grad: Any) -> list[Any]:
    """The blocks back in the batch."""
    return [apply("SpaceToBatchND", grad, op.inputs[1], op.inputs[2]), None, None]


@rule("SpaceToBatchND")
def space_to_batch(op: Operation, grad: Any) -> list[Any]:
    """The blocks back in space."""
    return [apply("BatchToSpaceND", grad, op.inputs[1], op.inputs[2]), None, None]
