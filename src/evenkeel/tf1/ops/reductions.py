"""Many values to one: sums, means, extremes, arguments of extremes, running sums."""

from collections.abc import Callable
from typing import Any

import torch

from evenkeel.tf1.fold import folded
from evenkeel.tf1.ops.rules import same
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape, unknown_shape


def axes_of(axes: Any, rank: int) -> list[int]:
    """Axes as a list of non-negative numbers."""
    listed = axes if isinstance(axes, list) else [axes]
    for axis in listed:
        if not -rank <= axis < rank:
            raise IndexError(
                f"Invalid reduction dimension {axis} for input with {rank} dimensions."
            )
    return sorted({axis % rank for axis in listed})


def reduced_shape(node: Any) -> list[TensorShape]:
    """The shape without the reduced axes, or with 1 in their places."""
    from evenkeel.tf1.infer import ShapeConflict

    shape, axes, keep = node.inputs[0].shape, folded(node.inputs[1]), node.attrs["keep_dims"]
    if shape.ndims is None:
        return [unknown_shape()]
    if axes is None:
        return [unknown_shape(shape.ndims if keep else None)]
    try:
        gone = axes_of(axes.reshape(-1).tolist(), shape.ndims)
    except IndexError as error:
        raise ShapeConflict(str(error).rstrip(".")) from None
    kept = enumerate(shape.sizes)
    if keep:
        return [TensorShape([1 if i in gone else s for i, s in kept])]
    return [TensorShape([s for i, s in kept if i not in gone])]


def _reduction(kind: str, run: Callable[[Any, list[int], bool], Any]) -> None:
    def reduce(x: Any, axes: Any, *, keep_dims: bool) -> Any:
        chosen = axes_of(axes, x.ndim)
        # torch reads an empty list of axes as all of them; TensorFlow as none.
        return run(x, chosen, keep_dims) if chosen else run(x.unsqueeze(0), [0], False)

    reduce.__doc__ = f"{kind} over axes."
    op(kind, host=("reduction_indices",), shape=reduced_shape)(reduce)


def _sum(x: Any, axes: list[int], keep: bool) -> Any:
    return x.sum(axes, keepdim=keep, dtype=x.dtype)


def _mean(x: Any, axes: list[int], keep: bool) -> Any:
    if x.is_floating_point() or x.is_complex():
        return x.mean(axes, keepdim=keep)
    count = 1
    for axis in axes:
        count *= x.shape[axis]
    return torch.div(_sum(x, axes, keep), count, rounding_mode="trunc").to(x.dtype)


def _prod(x: Any, axes: list[int], keep: bool) -> Any:
    for axis in reversed(axes):
        x = x.prod(axis, keepdim=keep, dtype=x.dtype)
    return x


_reduction("Sum", _sum)
_reduction("Mean", _mean)
_reduction("Prod", _prod)
_reduction("Max", lambda x, axes, keep: x.amax(axes, keepdim=keep))
_reduction("Min", lambda x, axes, keep: x.amin(axes, keepdim=keep))
_reduction("All", lambda x, axes, keep: torch.all(x, axes, keepdim=keep))
_reduction("Any", lambda x, axes, keep: torch.any(x, axes, keepdim=keep))


@op("EuclideanNorm", host=("reduction_indices",), shape=reduced_shape)
def euclidean_norm(x: Any, axes: Any, *, keep_dims: bool) -> Any:
    """The root of the sum of squares."""
    return torch.linalg.vector_norm(x, dim=axes_of(axes, x.ndim), keepdim=keep_dims)


def _without_axis(node: Any) -> list[TensorShape]:
    """The input's shape less one axis."""
    from evenkeel.tf1.infer import ShapeConflict

    # Not found by running: comparing meta tensors makes torch import its compiler, two seconds long.
    axis, shape = folded(node.inputs[1]), node.inputs[0].shape
    if shape.ndims is None:
        return [TensorShape(None)]
    if axis is None:
        return [TensorShape([None] * (shape.ndims - 1))]
    if not -shape.ndims <= int(axis) < shape.ndims:
        raise ShapeConflict(
            f"Dimension ({int(axis)}) must be in the range [{-shape.ndims}, {shape.ndims}), where "
            f"{shape.ndims} is the number of dimensions in the input."
        )
    at = int(axis) % shape.ndims
    return [TensorShape([s for i, s in enumerate(shape.sizes) if i != at])]


@op("ArgMax", host=("dimension",), shape=_without_axis)
def arg_max(x: Any, dimension: int, *, output_type: Any) -> Any:
    """Where the largest value is; the first where there are several."""
    return _first(x, x.amax(dimension, keepdim=True), dimension, output_type)


@op("ArgMin", host=("dimension",), shape=_without_axis)
def arg_min(x: Any, dimension: int, *, output_type: Any) -> Any:
    """Where the smallest value is; the first where there are several."""
    return _first(x, x.amin(dimension, keepdim=True), dimension, output_type)


def _first(x: Any, extreme: Any, axis: int, kind: Any) -> Any:
    # argmax of bytes is documented to give the first of equals only where it is computed so.
    return (x == extreme).to(torch.uint8).argmax(axis).to(kind.as_torch_dtype)


@op("Cumsum", host=("axis",), shape=same)
def cumsum(x: Any, axis: int, *, exclusive: bool, reverse: bool) -> Any:
    """The running sum."""
    return _running(torch.cumsum, torch.zeros_like, x, axis, exclusive, reverse)


@op("Cumprod", host=("axis",), shape=same)
def cumprod(x: Any, axis: int, *, exclusive: bool, reverse: bool) -> Any:
    """The running product."""
    return _running(torch.cumprod, torch.ones_like, x, axis, exclusive, reverse)


def _running(run: Any, neutral: Any, x: Any, axis: int, exclusive: bool, reverse: bool) -> Any:
    x = x.flip(axis) if reverse else x
    if exclusive:
        x = torch.cat([neutral(x.narrow(axis, 0, 1)), x.narrow(axis, 0, x.shape[axis] - 1)], axis)
    out = run(x, axis, dtype=x.dtype)
    return out.flip(axis) if reverse else out
