"""The nodes that gradients of joins, slices and paddings are made of."""

from typing import Any

import torch

from evenkeel.tf1.fold import partial_shape
from evenkeel.tf1.ops.indexing import strided_slice
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.ops.vjp import vjp
from evenkeel.tf1.shapes import TensorShape, unknown_shape


@op(
    "ConcatOffset",
    host=("concat_dim",),
    shape=lambda node: [t.shape for t in node.inputs[1:]],
)
def concat_offset(axis: int, shapes: list[Any]) -> Any:
    """Where each value begins in the joined one."""
    offsets, place = [], 0
    for sizes in shapes:
        offset = torch.zeros_like(sizes)
        offset[axis] = place
        offsets.append(offset)
        place += int(sizes[axis])
    return tuple(offsets)


@op(
    "StridedSliceGrad",
    host=("shape", "begin", "end", "strides"),
    shape=lambda node: [partial_shape(node.inputs[0])],
)
def strided_slice_grad(
    shape: Any, begin: Any, end: Any, strides: Any, dy: Any, *,
    begin_mask: int, end_mask: int, ellipsis_mask: int, new_axis_mask: int, shrink_axis_mask: int,
    op: Any,
) -> Any:  # fmt: skip
    """Zeros, with ``dy`` where the slice was taken."""
    count = 1
    for size in shape:
        count *= size
    places = strided_slice(
        torch.arange(count, device=dy.device).reshape(shape), begin, end, strides,
        begin_mask=begin_mask, end_mask=end_mask, ellipsis_mask=ellipsis_mask,
        new_axis_mask=new_axis_mask, shrink_axis_mask=shrink_axis_mask, op=op,
    )  # fmt: skip
    flat = torch.zeros(count, dtype=dy.dtype, device=dy.device)
    return flat.index_copy(0, places.reshape(-1), dy.reshape(-1)).reshape(shape)


def _unmirrored(node: Any) -> list[TensorShape]:
    from evenkeel.tf1.fold import folded

    shape, pads = node.inputs[0].shape, folded(node.inputs[1])
    if shape.ndims is None or pads is None:
        return [unknown_shape(shape.ndims)]
    pairs = zip(shape.sizes, pads.tolist(), strict=True)
    return [TensorShape([None if s is None else s - a - b for s, (a, b) in pairs])]


@op("MirrorPadGrad", host=("paddings",), shape=_unmirrored)
def mirror_pad_grad(dy: Any, paddings: Any, *, mode: str) -> Any:
    """What lies in the middle, and what was mirrored added to it."""
    from evenkeel.tf1.ops import definition

    sizes = [s - a - b for s, (a, b) in zip(dy.shape, paddings, strict=True)]
    run = definition("MirrorPad").run
    return vjp(lambda x: run(x, paddings, mode=mode), dy.new_zeros(sizes), dy)


@op("ListDiff", shape=lambda node: [unknown_shape(1), unknown_shape(1)])
def list_diff(x: Any, y: Any, *, out_idx: Any) -> Any:
    """The values of x that y does not have, and their places."""
    kept = ~torch.isin(x, y)
    return x[kept], torch.nonzero(kept).reshape(-1).to(out_idx.as_torch_dtype)
