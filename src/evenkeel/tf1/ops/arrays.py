"""Shapes and layouts: what moves values without changing them."""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from evenkeel.tf1 import errors
from evenkeel.tf1.fold import folded, partial_shape
from evenkeel.tf1.infer import ShapeConflict
from evenkeel.tf1.ops.rules import merged, scalar
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape, bracketed, conflict, unknown_shape


@op("Shape", shape=lambda node: [TensorShape([node.inputs[0].shape.ndims])])
def shape(x: Any, *, out_type: Any) -> Any:
    """The sizes."""
    return torch.tensor(x.shape, dtype=out_type.as_torch_dtype)


@op("ShapeN", shape=lambda node: [TensorShape([t.shape.ndims]) for t in node.inputs])
def shape_n(values: list[Any], *, out_type: Any) -> Any:
    """The sizes of each."""
    return tuple(torch.tensor(x.shape, dtype=out_type.as_torch_dtype) for x in values)


@op("Rank", shape=scalar)
def rank(x: Any) -> Any:
    """The number of axes."""
    return torch.tensor(x.ndim, dtype=torch.int32)


@op("Size", shape=scalar)
def size(x: Any, *, out_type: Any) -> Any:
    """The number of values."""
    return torch.tensor(x.numel() if hasattr(x, "numel") else x.size, dtype=out_type.as_torch_dtype)


def _reshaped(node: Any) -> list[TensorShape]:
    known, wanted = node.inputs[0].shape, partial_shape(node.inputs[1])
    asked = folded(node.inputs[1])
    if wanted.ndims is None:
        return [wanted]
    total = known.num_elements()
    if asked is None:
        return [_completed(wanted, total)]
    fixed = 1
    for value in asked.tolist():
        fixed *= value if value >= 0 else 1
    open_at = [i for i, v in enumerate(asked.tolist()) if v < 0]
    sizes = list(wanted.sizes)
    if total is None:
        return [TensorShape(sizes)]
    fits = total == fixed if not open_at else fixed and total % fixed == 0
    if not fits:
        shown = bracketed(TensorShape([None if v < 0 else v for v in asked.tolist()]))
        raise ShapeConflict(
            f"Cannot reshape a tensor with {total} elements to shape {shown} ({fixed} elements)"
            if not open_at
            else f"Dimension size must be evenly divisible by {fixed} but is {total}"
        )
    for index in open_at:
        sizes[index] = total // fixed
    return [TensorShape(sizes)]


def _completed(shape: TensorShape, total: int | None) -> TensorShape:
    """One unknown size found from the number of values."""
    sizes = list(shape.sizes)
    fixed = 1
    for size in sizes:
        fixed *= 1 if size is None else size
    if total is None or sizes.count(None) != 1 or not fixed or total % fixed:
        return shape
    sizes[sizes.index(None)] = total // fixed
    return TensorShape(sizes)


@op("Reshape", host=("shape",), shape=_reshaped)
def reshape(x: Any, shape: list[int]) -> Any:
    """The values in another shape."""
    return x.reshape(shape)


@op("ExpandDims", host=("dim",))
def expand_dims(x: Any, dim: Any) -> Any:
    """One more axis, of size 1."""
    return torch.unsqueeze(x, dim[0] if isinstance(dim, list) else dim)


def _squeezed(node: Any) -> list[TensorShape]:
    shape, axes = node.inputs[0].shape, node.attrs["squeeze_dims"]
    if shape.ndims is None or (not axes and not shape.is_fully_defined()):
        return [unknown_shape()]
    if not axes:
        return [TensorShape([s for s in shape.sizes if s != 1])]
    gone = {a % shape.ndims for a in axes}
    for axis in gone:
        if shape.sizes[axis] not in (1, None):
            raise ShapeConflict(
                f"Can not squeeze dim[{axis}], expected a dimension of 1, got {shape.sizes[axis]}"
            )
    return [TensorShape([s for i, s in enumerate(shape.sizes) if i not in gone])]


@op("Squeeze", shape=_squeezed)
def squeeze(x: Any, *, squeeze_dims: list[int]) -> Any:
    """Without the axes of size 1, or without those named."""
    return torch.squeeze(x, tuple(squeeze_dims)) if squeeze_dims else torch.squeeze(x)


def _packed(node: Any) -> list[TensorShape]:
    (shape,), axis = merged(node), node.attrs["axis"]
    if shape.ndims is None:
        return [shape]
    sizes = list(shape.sizes)
    sizes.insert(axis if axis >= 0 else axis + len(sizes) + 1, len(node.inputs))
    return [TensorShape(sizes)]


@op("Pack", shape=_packed)
def pack(values: list[Any], *, axis: int) -> Any:
    """Values side by side along a new axis."""
    if not isinstance(values[0], torch.Tensor):  # text
        return np.stack(values, axis)
    return torch.stack(values, axis)


def _unpacked(node: Any) -> list[TensorShape]:
    shape, axis = node.inputs[0].shape, node.attrs["axis"]
    if shape.ndims is None:
        return [unknown_shape() for _ in node.outputs]
    rest = [s for i, s in enumerate(shape.sizes) if i != axis % shape.ndims]
    return [TensorShape(rest) for _ in node.outputs]


@op("Unpack", shape=_unpacked)
def unpack(value: Any, *, axis: int, num: int) -> Any:
    """The slices along an axis, each by itself."""
    return tuple(torch.unbind(value, axis))


def _concatenated(node: Any) -> list[TensorShape]:
    *parts, last = node.inputs
    axis = folded(last)
    ranks = {t.shape.ndims for t in parts} - {None}
    if axis is None or not ranks:
        return [unknown_shape(next(iter(ranks), None))]
    if len(ranks) > 1:
        low, high = sorted(ranks)[:2]
        raise ShapeConflict(f"Shapes must be equal rank, but are {high} and {low}")
    where = int(axis) % next(iter(ranks))
    whole = unknown_shape(next(iter(ranks)))
    total: int | None = 0
    for part in parts:
        if part.shape.ndims is None:
            total = None
            continue
        size = part.shape.sizes[where]
        total = None if total is None or size is None else total + size
        whole = _merge_but(whole, part.shape, where)
    sizes = list(whole.sizes)
    sizes[where] = total
    return [TensorShape(sizes)]


def _merge_but(whole: TensorShape, part: TensorShape, axis: int) -> TensorShape:
    rest = [TensorShape([v for i, v in enumerate(s.sizes) if i != axis]) for s in (whole, part)]
    if (problem := conflict(rest[0], rest[1])) is not None:
        raise ShapeConflict(problem)
    sizes = list(rest[0].merge_with(rest[1]).sizes)
    return TensorShape([*sizes[:axis], None, *sizes[axis:]])


@op("ConcatV2", host=("axis",), shape=_concatenated)
def concat(values: list[Any], axis: int) -> Any:
    """Values one after the other along an axis."""
    if not isinstance(values[0], torch.Tensor):  # text
        return np.concatenate(values, axis)
    return torch.cat(values, axis)


@op("Split", host=("split_dim",))
def split(axis: int, value: Any, *, num_split: int) -> Any:
    """Equal parts along an axis."""
    return tuple(torch.chunk(value, num_split, axis))


@op("SplitV", host=("size_splits", "split_dim"))
def split_v(value: Any, sizes: list[int], axis: int, *, num_split: int) -> Any:
    """Parts of given sizes along an axis; −1 takes what is left."""
    known = sum(s for s in sizes if s >= 0)
    return tuple(
        torch.split(value, [s if s >= 0 else value.shape[axis] - known for s in sizes], axis)
    )


def _block(node: Any) -> list[TensorShape]:
    shape, begin, size = node.inputs[0].shape, *(folded(t) for t in node.inputs[1:])
    if shape.ndims is None:
        return [unknown_shape()]
    if size is None:
        known = partial_shape(node.inputs[2])
        return [known if known.ndims is not None else unknown_shape(shape.ndims)]
    if begin is None:
        return [TensorShape([None if s < 0 else int(s) for s in size])]
    made: list[int | None] = []
    for axis, (whole, first, length) in enumerate(zip(shape.sizes, begin, size, strict=True)):
        if whole is not None and not 0 <= first <= whole - max(length, 0):
            raise ShapeConflict(
                f"Expected begin[{axis}] in [0, {whole - max(length, 0)}], but got {first}"
            )
        rest = None if whole is None else int(whole - first)
        made.append(rest if length < 0 else int(length))
    return [TensorShape(made)]


@op("Slice", host=("begin", "size"), shape=_block)
def slice_(x: Any, begin: list[int], size: list[int]) -> Any:
    """A block; −1 takes what is left of an axis."""
    for axis, (start, length) in enumerate(zip(begin, size, strict=True)):
        x = x.narrow(axis, start, x.shape[axis] - start if length < 0 else length)
    return x


def _tiled(node: Any) -> list[TensorShape]:
    shape, times = node.inputs[0].shape, partial_shape(node.inputs[1])
    if shape.ndims is None or times.ndims is None:
        return [unknown_shape(times.ndims if shape.ndims is None else shape.ndims)]
    pairs = zip(shape.sizes, times.sizes, strict=True)
    return [TensorShape([None if None in (s, n) else s * n for s, n in pairs])]


@op("Tile", host=("multiples",), shape=_tiled)
def tile(x: Any, multiples: list[int]) -> Any:
    """The values repeated along each axis."""
    return x.repeat(multiples)


@op("BroadcastTo", host=("shape",))
def broadcast_to(x: Any, shape: list[int]) -> Any:
    """The values repeated to fill a shape."""
    return x.expand(shape)


@op("Pad", host=("paddings",))
def pad(x: Any, paddings: list[list[int]]) -> Any:
    """Zeros around."""
    return F.pad(x, _flat(paddings))


@op("PadV2", host=("paddings",))
def pad_v2(x: Any, paddings: list[list[int]], value: Any) -> Any:
    """A constant around."""
    return F.pad(x, _flat(paddings), value=0 if value.device.type == "meta" else value.item())


def _flat(paddings: list[list[int]]) -> list[int]:
    return [n for before, after in reversed(paddings) for n in (before, after)]


@op("MirrorPad", host=("paddings",))
def mirror_pad(x: Any, paddings: list[list[int]], *, mode: str) -> Any:
    """The values mirrored around; ``SYMMETRIC`` repeats the edge."""
    for axis, (before, after) in enumerate(paddings):
        length, skip = x.shape[axis], 1 if mode == "REFLECT" else 0
        left = list(range(before - 1 + skip, skip - 1, -1))
        right = [length - 1 - skip - i for i in range(after)]
        index = torch.tensor([*left, *range(length), *right], device=x.device)
        x = torch.index_select(x, axis, index)
    return x


@op("Transpose", host=("perm",))
def transpose(x: Any, perm: list[int]) -> Any:
    """The axes in another order."""
    return x.permute(perm)


@op("InvertPermutation")
def invert_permutation(x: Any) -> Any:
    """The permutation that undoes this one."""
    return torch.argsort(x).to(x.dtype)


@op("Fill", host=("dims",), shape=lambda node: [partial_shape(node.inputs[0])])
def fill(dims: list[int], value: Any) -> Any:
    """One value everywhere."""
    return value.expand(dims).clone()


@op("ZerosLike", shape=lambda node: [node.inputs[0].shape])
def zeros_like(x: Any) -> Any:
    """Zeros in the same shape."""
    return torch.zeros_like(x)


@op("OnesLike", shape=lambda node: [node.inputs[0].shape])
def ones_like(x: Any) -> Any:
    """Ones in the same shape."""
    return torch.ones_like(x)


def _counted(node: Any) -> list[TensorShape]:
    values = [folded(t) for t in node.inputs]
    if any(v is None for v in values):
        return [unknown_shape(1)]
    start, limit, delta = (v.item() for v in values)
    return [TensorShape([max(0, math.ceil((limit - start) / delta))])]


@op("Range", host=("start", "limit", "delta"), shape=_counted)
def range_(start: Any, limit: Any, delta: Any, *, Tidx: Any, device: Any) -> Any:
    """Numbers from ``start`` up to ``limit``, without it."""
    return torch.arange(start, limit, delta, dtype=Tidx.as_torch_dtype, device=device)


@op("LinSpace", host=("start", "stop", "num"))
def lin_space(start: float, stop: float, num: int, *, T: Any, device: Any) -> Any:
    """Evenly spaced numbers, both ends included."""
    return torch.linspace(start, stop, num, dtype=T.as_torch_dtype, device=device)


@op("ReverseV2", host=("axis",), shape=lambda node: [node.inputs[0].shape])
def reverse(x: Any, axis: list[int]) -> Any:
    """The values in opposite order along axes."""
    return torch.flip(x, axis)


@op("BroadcastGradientArgs", shape=lambda node: [unknown_shape(1), unknown_shape(1)])
def broadcast_gradient_args(a: Any, b: Any) -> Any:
    """The axes that broadcasting repeated, for either operand."""
    left, right = a.tolist(), b.tolist()
    count = max(len(left), len(right))
    left, right = [1] * (count - len(left)) + left, [1] * (count - len(right)) + right
    pairs = list(enumerate(zip(left, right, strict=True)))
    # An axis of 1 on both sides is summed on both: it changes nothing and TensorFlow does so.
    first = [i for i, (x, y) in pairs if x == 1]
    second = [i for i, (x, y) in pairs if y == 1]
    if a.tolist() == b.tolist():
        first = second = []
    return torch.tensor(first, dtype=a.dtype), torch.tensor(second, dtype=a.dtype)


@op("EnsureShape", shape=lambda node: [node.inputs[0].shape.merge_with(node.attrs["shape"])])
def ensure_shape(x: Any, *, shape: TensorShape, op: Any) -> Any:
    """The value; an error where its shape is another."""
    if not shape.is_compatible_with(list(x.shape)):
        raise errors.InvalidArgumentError(
            None,
            op,
            f"Shape of tensor {op.inputs[0].op.name} {list(x.shape)} is not compatible "
            f"with expected shape {bracketed(shape)}.",
        )
    return x
