"""Shape rules that running on meta tensors cannot replace: unknown sizes, unknown ranks."""

from typing import Any

from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.shapes import TensorShape, conflict, unknown_shape


def same(op: Operation) -> list[TensorShape]:
    """Every output has the shape of the first input."""
    return [op.inputs[0].shape for _ in op.outputs]


def scalar(op: Operation) -> list[TensorShape]:
    """Every output is a scalar."""
    return [TensorShape([]) for _ in op.outputs]


def unknown(op: Operation) -> list[TensorShape]:
    """Nothing is known."""
    return [unknown_shape() for _ in op.outputs]


def from_attr(op: Operation) -> list[TensorShape]:
    """The attribute ``shape`` says it."""
    return [op.attrs["shape"]]


def merged(op: Operation) -> list[TensorShape]:
    """All inputs have one shape."""
    shape = op.inputs[0].shape
    for other in op.inputs[1:]:
        shape = merge(shape, other.shape)
    return [shape for _ in op.outputs]


def merge(a: TensorShape, b: TensorShape) -> TensorShape:
    """What both say, or a conflict in TensorFlow's words."""
    from evenkeel.tf1.infer import ShapeConflict

    if (problem := conflict(a, b)) is not None:
        raise ShapeConflict(problem)
    return a.merge_with(b)


def equal_sizes(a: int | None, b: int | None) -> int | None:
    """One size that two places share, or a conflict in TensorFlow's words."""
    from evenkeel.tf1.infer import ShapeConflict

    if a is not None and b is not None and a != b:
        raise ShapeConflict(f"Dimensions must be equal, but are {a} and {b}")
    return b if a is None else a


def broadcast(op: Operation) -> list[TensorShape]:
    """Numpy's broadcasting of all inputs."""
    shape = op.inputs[0].shape
    for other in op.inputs[1:]:
        shape = broadcast_shapes(shape, other.shape)
    return [shape for _ in op.outputs]


def broadcast_shapes(a: TensorShape, b: TensorShape) -> TensorShape:
    """Numpy's broadcasting, where sizes and ranks may be unknown."""
    if a.ndims is None or b.ndims is None:
        return unknown_shape()
    rank = max(a.ndims, b.ndims)
    left: Any = (1,) * (rank - a.ndims) + a.sizes
    right: Any = (1,) * (rank - b.ndims) + b.sizes
    return TensorShape([_wider(x, y) for x, y in zip(left, right, strict=True)])


def _wider(x: int | None, y: int | None) -> int | None:
    if x == 1 or y == 1:
        return y if x == 1 else x
    return equal_sizes(x, y)
