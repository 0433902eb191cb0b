"""Picking values: strided slices, gathers, masks, one-hot, the largest, the unique."""

from typing import Any

import numpy as np
import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.fold import folded
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape, unknown_shape

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def python_index(begin: Any, end: Any, strides: Any, masks: dict[str, int]) -> tuple[Any, ...]:
    """The index that Python would write for a strided slice; an int where an axis goes."""
    index: list[Any] = []
    for i, step in enumerate(strides):
        bit = 1 << i
        if masks["ellipsis_mask"] & bit:
            index.append(Ellipsis)
        elif masks["new_axis_mask"] & bit:
            index.append(None)
        elif masks["shrink_axis_mask"] & bit:
            index.append(begin[i])
        else:
            start = None if masks["begin_mask"] & bit else begin[i]
            stop = None if masks["end_mask"] & bit else end[i]
            index.append(slice(start, stop, step))
    return tuple(index)


def _sliced(node: Any) -> list[TensorShape]:
    shape = node.inputs[0].shape
    values = [folded(t) for t in node.inputs[1:]]
    masks = {m: node.attrs[m] for m in _MASKS}
    if shape.ndims is None or values[2] is None:
        return [unknown_shape()]
    count = len(values[2])
    bounds = [[None] * count if v is None else v.tolist() for v in values[:2]]
    index = python_index(bounds[0], bounds[1], values[2].tolist(), masks)
    return [TensorShape(_sizes(list(shape.sizes), index, values[0] is None or values[1] is None))]


def _sizes(sizes: list[Any], index: tuple[Any, ...], unknown_bounds: bool) -> list[Any]:
    taken = sum(1 for i in index if i is not None and i is not Ellipsis)
    out: list[Any] = []
    for item in index:
        if item is None:
            out.append(1)
        elif item is Ellipsis:
            keep = len(sizes) - (
                taken - sum(1 for i in index[: index.index(item)] if i is not None)
            )
            out += sizes[:keep]
            sizes = sizes[keep:]
        elif isinstance(item, slice):
            out.append(_length(sizes.pop(0), item, unknown_bounds))
        else:
            sizes.pop(0)
    return out + sizes


def _length(size: int | None, item: slice, unknown_bounds: bool) -> int | None:
    if item == slice(None, None, 1):
        return size
    if unknown_bounds:
        return None
    if size is None:
        return None
    return len(range(*item.indices(size)))


@op("StridedSlice", host=("begin", "end", "strides"), shape=_sliced)
def strided_slice(
    x: Any,
    begin: Any,
    end: Any,
    strides: Any,
    *,
    begin_mask: int,
    end_mask: int,
    ellipsis_mask: int,
    new_axis_mask: int,
    shrink_axis_mask: int,
    op: Any,
) -> Any:
    """A slice as Python's indexing makes it."""
    masks = dict(
        zip(
            _MASKS,
            (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask),
            strict=True,
        )
    )
    index = python_index(begin, end, strides, masks)
    try:
        return x[index] if all(s > 0 for s in strides) else _backwards(x, index)
    except IndexError:
        raise errors.InvalidArgumentError(
            None, op, f"slice index {begin[0]} of dimension 0 out of bounds."
        ) from None


def _backwards(x: Any, index: tuple[Any, ...]) -> Any:
    """Torch has no negative steps: such an axis is picked by number."""
    axis = 0
    flipped: list[tuple[int, Any]] = []
    plain: list[Any] = []
    source = 0
    for item in index:
        if item is Ellipsis:
            gap = x.ndim - sum(1 for i in index if i is not None and i is not Ellipsis)
            source, axis = source + gap, axis + gap
        elif isinstance(item, slice) and item.step is not None and item.step < 0:
            rows = torch.tensor(list(range(*item.indices(x.shape[source]))), device=x.device)
            flipped.append((axis, rows.long()))
            source, axis, item = source + 1, axis + 1, slice(None)
        else:
            source += item is not None
            axis += not isinstance(item, int)
        plain.append(item)
    x = x[tuple(plain)]
    for where, rows in flipped:
        x = x.index_select(where, rows)
    return x


def _gathered(node: Any) -> list[TensorShape]:
    params, indices = node.inputs[0].shape, node.inputs[1].shape
    axis = folded(node.inputs[2]) if len(node.inputs) > 2 else 0
    if None in (params.ndims, indices.ndims) or axis is None:
        return [unknown_shape()]
    at = int(axis) % (params.ndims or 1)
    return [params[:at].concatenate(indices).concatenate(params[at + 1 :])]


@op("GatherV2", host=("axis",), shape=_gathered)
def gather_v2(params: Any, indices: Any, axis: int, *, op: Any) -> Any:
    """The slices of ``params`` at ``indices`` along an axis."""
    axis = axis % params.ndim
    flat = indices.reshape(-1).long()
    _within(flat, params.shape[axis], op)
    if not isinstance(params, torch.Tensor):
        return np.take(params, indices.numpy(), axis)
    shape = (*params.shape[:axis], *indices.shape, *params.shape[axis + 1 :])
    return params.index_select(axis, flat).reshape(shape)


@op("Gather", shape=_gathered)
def gather(params: Any, indices: Any, *, op: Any) -> Any:
    """The rows of ``params`` at ``indices``."""
    return gather_v2(params, indices, 0, op=op)


def _within(flat: Any, limit: int, node: Any) -> None:
    bad = (flat < 0) | (flat >= limit)
    if bool(bad.any()):
        at = int(bad.nonzero()[0])
        raise errors.InvalidArgumentError(
            None, node, f"indices[{at}] = {int(flat[at])} is not in [0, {limit})"
        )


def _gathered_nd(node: Any) -> list[TensorShape]:
    params, indices = (t.shape for t in node.inputs)
    if None in (params.ndims, indices.ndims) or indices.sizes[-1] is None:
        return [unknown_shape()]
    return [indices[:-1].concatenate(params[indices.sizes[-1] :])]


@op("GatherNd", shape=_gathered_nd)
def gather_nd(params: Any, indices: Any) -> Any:
    """The slices of ``params`` at index tuples."""
    return params[tuple(indices.long().unbind(-1))]


@op("ScatterNd", host=("shape",))
def scatter_nd(indices: Any, updates: Any, shape: list[int]) -> Any:
    """Zeros with ``updates`` added at index tuples."""
    zeros = torch.zeros(shape, dtype=updates.dtype, device=updates.device)
    return zeros.index_put(tuple(indices.long().unbind(-1)), updates, accumulate=True)


@op("OneHot", host=("depth",))
def one_hot(indices: Any, depth: int, on: Any, off: Any, *, axis: int) -> Any:
    """``on`` at each index, ``off`` elsewhere, along a new axis."""
    numbers = torch.arange(depth, device=indices.device)
    hot = indices.unsqueeze(-1) == numbers
    return torch.where(hot if axis == -1 else hot.movedim(-1, axis), on, off)


@op("Where", shape=lambda node: [TensorShape([None, node.inputs[0].shape.ndims])])
def where(condition: Any) -> Any:
    """The places of what is true."""
    return torch.nonzero(condition)


@op("TopKV2", host=("k",))
def top_k(x: Any, k: int) -> Any:
    """The largest of the last axis and where they are; the first of equals."""
    order = torch.sort(x, dim=-1, descending=True, stable=True)
    return order.values[..., :k], order.indices[..., :k].int()


def _in_top(node: Any) -> list[TensorShape]:
    batch = node.inputs[0].shape[:1] if node.inputs[0].shape.ndims else unknown_shape(1)
    return [batch.merge_with(node.inputs[1].shape)]


@op("InTopKV2", host=("k",), shape=_in_top)
def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    """Whether fewer than k predictions are larger than that of the target."""
    rows = torch.arange(targets.shape[0], device=predictions.device)
    classes = predictions.shape[-1]
    inside = (targets >= 0) & (targets < classes)
    chosen = predictions[rows, targets.clamp(0, classes - 1).long()]
    larger = (predictions > chosen.unsqueeze(-1)).sum(-1)
    finite = torch.isfinite(chosen)
    return (larger < k) & inside & finite


@op("InTopK", shape=_in_top)
def in_top_k_attr(predictions: Any, targets: Any, *, k: int) -> Any:
    """Whether fewer than k predictions are larger than that of the target."""
    return in_top_k(predictions, targets, k)


@op("Unique", shape=lambda node: [unknown_shape(1), node.inputs[0].shape])
def unique(x: Any, *, out_idx: Any) -> Any:
    """The different values in the order of their first place, and which each value is."""
    _, first, inverse = np.unique(x.numpy(), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    kept = torch.from_numpy(np.sort(first))
    return x[kept], torch.from_numpy(rank[inverse]).to(out_idx.as_torch_dtype)


def _stitched(node: Any) -> list[TensorShape]:
    count = node.attrs["N"]
    places, first = node.inputs[:count], node.inputs[count]
    known = [folded(t) for t in places]
    size = None
    if all(v is not None for v in known):
        size = max((int(v.max()) + 1 for v in known if v.size), default=0)
    ranks = places[0].shape.ndims
    if ranks is None or first.shape.ndims is None:
        return [unknown_shape()]
    return [TensorShape([size, *first.shape.sizes[ranks:]])]


@op("DynamicStitch", shape=_stitched)
def dynamic_stitch(indices: list[Any], data: list[Any]) -> Any:
    """Values put at their places; the last one wins."""
    count = max((int(i.max()) + 1 for i in indices if i.numel()), default=0)
    rest = data[0].shape[indices[0].ndim :]
    out = torch.zeros((count, *rest), dtype=data[0].dtype)
    for place, value in zip(indices, data, strict=True):
        out = out.index_copy(0, place.reshape(-1).long(), value.reshape(-1, *rest))
    return out
