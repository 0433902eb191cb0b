"""Shapes and layouts: reshape, concatenate, split, pad, transpose."""

from typing import Any

import numpy as np

from evenkeel.tf1 import build
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.dtypes import int32
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import Dimension, TensorShape, broadcast_static

__all__ = [
    "broadcast_static_shape", "broadcast_to", "concat", "ensure_shape", "expand_dims", "identity",
    "identity_n", "matrix_band_part", "matrix_transpose", "meshgrid", "pad", "rank", "reshape",
    "reverse", "reverse_v2", "shape", "shape_n", "size", "slice", "split", "squeeze", "stack",
    "stop_gradient", "tile", "transpose", "unstack", "where",
]  # fmt: skip


def identity(input: Any, name: str | None = None) -> Any:
    """The same value as a node of its own."""
    return apply("Identity", input, name=name)


def identity_n(input: Any, name: str | None = None) -> Any:
    """The same values as one node."""
    return apply("IdentityN", list(input), name=name)


def stop_gradient(input: Any, name: str | None = None) -> Any:
    """The value, as a constant to gradients."""
    return apply("StopGradient", input, name=name)


def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Any:
    """The value, known to have a shape."""
    return apply("EnsureShape", x, shape=TensorShape(shape), name=name)


def shape_of(input: Any, name: Any = None, optimize: bool = True, out_type: Any = int32) -> Any:
    """The sizes: a constant where they are known."""
    with name_scope(name, "Shape", [input]) as scope:
        source = convert(input)
        if optimize and source.shape.is_fully_defined():
            return build.constant(source.shape.as_list(), out_type, name=scope)
        return apply("Shape", source, out_type=out_type, name=scope)


def shape(input: Any, name: str | None = None, out_type: Any = int32) -> Any:
    """The sizes."""
    return shape_of(input, name, out_type=out_type)


def shape_n(input: Any, out_type: Any = int32, name: str | None = None) -> Any:
    """The sizes of each."""
    return apply("ShapeN", list(input), out_type=out_type, name=name)


def size(input: Any, name: str | None = None, out_type: Any = int32) -> Any:
    """The number of values."""
    with name_scope(name, "Size", [input]) as scope:
        source = convert(input)
        if source.shape.is_fully_defined():
            return build.constant(source.shape.num_elements(), out_type, name=scope)
        return apply("Size", source, out_type=out_type, name=scope)


def rank(input: Any, name: str | None = None) -> Any:
    """The number of axes."""
    with name_scope(name, "Rank", [input]) as scope:
        source = convert(input)
        if source.shape.ndims is not None:
            return build.constant(source.shape.ndims, int32, name=scope)
        return apply("Rank", source, name=scope)


def reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    """The values in another shape."""
    return apply("Reshape", tensor, shape, name=name)


def expand_dims(input: Any, axis: Any = None, name: Any = None, dim: Any = None) -> Any:
    """One more axis."""
    chosen = dim if axis is None else axis
    if chosen is None:
        raise ValueError("Must specify an axis argument to tf.expand_dims()")
    return apply("ExpandDims", input, chosen, name=name)


def squeeze(input: Any, axis: Any = None, name: Any = None, squeeze_dims: Any = None) -> Any:
    """Without axes of size 1."""
    chosen = squeeze_dims if axis is None else axis
    listed = [chosen] if np.isscalar(chosen) else chosen
    return apply("Squeeze", input, squeeze_dims=listed, name=name)


def stack(values: Any, axis: int = 0, name: str = "stack") -> Any:
    """Values side by side along a new axis."""
    if axis == 0:
        try:
            return convert(values, name=name)
        except (TypeError, ValueError):
            pass  # not one constant: packed below
    return apply("Pack", list(values), axis=axis, name=name)


def unstack(value: Any, num: int | None = None, axis: int = 0, name: str = "unstack") -> Any:
    """The slices along an axis."""
    source = convert(value)
    if num is None:
        sizes = source.shape
        num = None if sizes.ndims is None else sizes.sizes[axis]
        if num is None:
            raise ValueError(f"Cannot infer num from shape {sizes}")
    return apply("Unpack", source, num=num, axis=axis, name=name)


def concat(values: Any, axis: Any, name: str = "concat") -> Any:
    """Values one after the other along an axis."""
    listed = list(values) if isinstance(values, list | tuple) else [values]
    if len(listed) == 1:
        with name_scope(name):
            convert(axis, int32, name="concat_dim")
            return apply("Identity", listed[0], name=name)
    return apply("ConcatV2", listed, axis, name=name)


def split(
    value: Any, num_or_size_splits: Any, axis: Any = 0, num: Any = None, name: str = "split"
) -> Any:
    """Parts along an axis: so many equal ones, or of these sizes."""
    sizes = convert(num_or_size_splits)
    if isinstance(num_or_size_splits, int | np.integer | Dimension):
        return apply("Split", axis, value, num_split=int(num_or_size_splits), name=name)
    if sizes.shape.ndims == 0:
        raise ValueError(
            "Rank-0 tensors are not supported as the num_or_size_splits argument to split."
        )
    count = num if num is not None else sizes.shape.sizes[0]
    if count is None:
        raise ValueError("Cannot infer num from shape of num_or_size_splits")
    return apply("SplitV", value, sizes, axis, num_split=count, name=name)


def transpose(a: Any, perm: Any = None, name: str = "transpose", conjugate: bool = False) -> Any:
    """The axes in another order; reversed where none is given."""
    kind = "ConjugateTranspose" if conjugate else "Transpose"
    with name_scope(name, "transpose", [a]) as scope:
        source = convert(a, name="a") if not isinstance(a, Tensor) else a
        if perm is not None:
            return apply(kind, source, perm, name=scope)
        ranks = source.shape.ndims
        if ranks is None:
            count = apply("Rank", source)
            order: Any = apply("Sub", apply("Sub", count, 1), apply("Range", 0, count, 1))
        else:
            order = np.arange(ranks, dtype=np.int32)[::-1]
        made = apply(kind, source, order, name=scope)
        if ranks is not None:
            made.set_shape(source.shape[::-1])
        return made


def matrix_transpose(a: Any, name: str = "matrix_transpose") -> Any:
    """The last two axes exchanged."""
    with name_scope(name, values=[a]):
        source = convert(a, name="a")
        count = len(source.shape)
        return transpose(source, [*np.arange(count - 2), count - 1, count - 2])


def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", name: Any = None, constant_values: Any = 0
) -> Any:
    """A constant, or the values mirrored, around."""
    if mode.upper() == "CONSTANT":
        if isinstance(constant_values, Tensor) or constant_values != 0:
            return apply("PadV2", tensor, paddings, constant_values, name=name)
        return apply("Pad", tensor, paddings, name=name)
    if mode.upper() not in ("REFLECT", "SYMMETRIC"):
        raise ValueError(f"Unknown padding mode: {mode}")
    return apply("MirrorPad", tensor, paddings, mode=mode.upper(), name=name)


def tile(input: Any, multiples: Any, name: str | None = None) -> Any:
    """The values repeated."""
    return apply("Tile", input, multiples, name=name)


def slice(input_: Any, begin: Any, size: Any, name: str | None = None) -> Any:
    """A block."""
    return apply("Slice", input_, begin, size, name=name)


def reverse(tensor: Any, axis: Any, name: str | None = None) -> Any:
    """The values in opposite order along axes."""
    return apply("ReverseV2", tensor, axis, name=name)


reverse_v2 = reverse


def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Any:
    """The values repeated to fill a shape."""
    return apply("BroadcastTo", input, shape, name=name)


def broadcast_static_shape(shape_x: Any, shape_y: Any) -> TensorShape:
    """The shape of two tensors broadcast together."""
    return broadcast_static(shape_x, shape_y)


def matrix_band_part(input: Any, num_lower: Any, num_upper: Any, name: Any = None) -> Any:
    """The matrices with all but a band set to zero."""
    return apply("MatrixBandPart", input, num_lower, num_upper, name=name)


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    """The places of what is true, or x there and y elsewhere."""
    if x is None and y is None:
        with name_scope(name, "Where", [condition]) as scope:
            truth = convert(condition, "bool", name="condition", preferred="bool")
            return apply("Where", truth, name=scope)
    if x is None or y is None:
        raise ValueError("x and y must both be non-None or both be None.")
    return apply("Select", condition, x, y, name=name)


def meshgrid(*args: Any, indexing: str = "xy", name: str = "meshgrid") -> list[Any]:
    """Grids of coordinates."""
    with name_scope(name, "meshgrid", args):
        count = len(args)
        shaped = [
            reshape(stack(x), [1] * i + [-1] + [1] * (count - i - 1)) for i, x in enumerate(args)
        ]
        shapes = [size(x) for x in args]
        if indexing == "xy" and count > 1:
            shaped[0] = reshape(shaped[0], [1, -1] + [1] * (count - 2))
            shaped[1] = reshape(shaped[1], [-1, 1] + [1] * (count - 2))
            shapes[0], shapes[1] = shapes[1], shapes[0]
        from evenkeel.tf1.api.constants import fill

        ones = fill(shapes, convert(1, shaped[0].dtype.base_dtype))
        return [apply("Mul", x, ones) for x in shaped]
