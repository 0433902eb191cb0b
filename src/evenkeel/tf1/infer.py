"""Static shapes without shape functions: an operation runs twice on meta tensors.

The two runs put different sizes in the place of every unknown one; what differs is unknown.
"""

from typing import Any

import torch

from evenkeel.tf1.dtypes import short_name
from evenkeel.tf1.fold import folded, partial_shape
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops import definition, is_defined
from evenkeel.tf1.ops.signature import grouped, signature
from evenkeel.tf1.shapes import TensorShape, bracketed, unknown_shape
from evenkeel.tf1.values import to_host

# Sizes for unknown dimensions: with many divisors, so that reshapes and strides come out even.
STAND_INS = (5040, 7560)
_TAKE_SHAPES = ("Reshape", "Fill", "BroadcastTo")


class _UnknownValue(Exception):
    """A host input that is not known while the graph is built."""


class ShapeConflict(Exception):
    """What a shape rule says when sizes cannot be: the text before ``for 'name'``."""


def shapes_of(op: Operation) -> list[TensorShape]:
    """The static shapes of the outputs; ValueError with TensorFlow's words where none can be."""
    if not is_defined(op.type) or not op.outputs:
        return [unknown_shape() for _ in op.outputs]
    row = definition(op.type)
    try:
        if row.shape is not None:
            return row.shape(op)
        if row.stateful or not _can_run(op):
            return [unknown_shape() for _ in op.outputs]
        return _by_running(op)
    except ShapeConflict as conflict:
        raise ValueError(message(op, str(conflict))) from None


def message(op: Operation, problem: str) -> str:
    """A shape error in TensorFlow's form."""
    shapes = ", ".join(bracketed(t.shape) for t in op.inputs)
    text = f"{problem} for '{op.name}' (op: '{op.type}') with input shapes: {shapes}"
    known = [(i, folded(t)) for i, t in enumerate(op.inputs) if _is_host(op, i)]
    if op.type in _TAKE_SHAPES:
        sizes = "; ".join(
            f"input[{i}] = {bracketed(partial_shape(op.inputs[i]))}" for i, _ in known
        )
        return f"{text} and with input tensors computed as partial shapes: {sizes}."
    listed = ", ".join(f"input[{i}] = {_value(v)}" for i, v in known if v is not None)
    return f"{text} and with computed input tensors: {listed}." if listed else f"{text}."


def _value(array: Any) -> str:
    one = array.ndim == 0
    inner = " ".join(str(v) for v in array.reshape(-1).tolist())
    return f"<{inner}>" if one or array.ndim == 1 else f"<[{inner}]>"


def _is_host(op: Operation, index: int) -> bool:
    row = definition(op.type)
    owner = grouped(op.type, op.attrs, list(range(len(op.inputs))))
    for arg, group in zip(signature(op.type).inputs, owner, strict=True):
        if index == group or (isinstance(group, list) and index in group):
            return arg.name in row.host
    return False


def _can_run(op: Operation) -> bool:
    ranked = all(t.shape.ndims is not None for t in op.inputs)
    return ranked and all(t.dtype.has_torch for t in [*op.inputs, *op.outputs])


def _by_running(op: Operation) -> list[TensorShape]:
    partial = not all(t.shape.is_fully_defined() for t in op.inputs)
    runs = []
    for stand_in in STAND_INS if partial or _unknown_host(op) else STAND_INS[:1]:
        try:
            runs.append(_run(op, stand_in))
        except _UnknownValue:
            return [unknown_shape() for _ in op.outputs]
        except (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError) as error:
            if partial or not isinstance(error, RuntimeError | IndexError):
                return [unknown_shape() for _ in op.outputs]
            raise ShapeConflict(str(error).splitlines()[0]) from None
    return [_merged(sizes) for sizes in zip(*runs, strict=True)]


def _unknown_host(op: Operation) -> bool:
    return any(_is_host(op, i) and folded(t) is None for i, t in enumerate(op.inputs))


def _merged(sizes: tuple[tuple[int, ...], ...]) -> TensorShape:
    if len({len(s) for s in sizes}) > 1:
        return unknown_shape()
    return TensorShape(
        [axis[0] if len(set(axis)) == 1 else None for axis in zip(*sizes, strict=True)]
    )


def _run(op: Operation, stand_in: int) -> list[tuple[int, ...]]:
    row = definition(op.type)
    groups = grouped(op.type, op.attrs, op.inputs)
    args = [
        _argument(group, stand_in, arg.name in row.host)
        for arg, group in zip(signature(op.type).inputs, groups, strict=True)
    ]
    with torch.no_grad():
        outputs = row.bake(op, device=torch.device("meta"))(*args)
    outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
    return [tuple(value.shape) for value in outputs]


def _argument(group: Any, stand_in: int, host: bool) -> Any:
    if isinstance(group, list):
        return [_argument(tensor, stand_in, host) for tensor in group]
    return _host_stand_in(group, stand_in) if host else meta(group, stand_in)


def meta(tensor: Tensor, stand_in: int) -> torch.Tensor:
    """A tensor without memory that has this one's shape, ``stand_in`` for every unknown size."""
    sizes = [stand_in if s is None else s for s in tensor.shape.sizes]
    return torch.empty(sizes, dtype=tensor.dtype.as_torch_dtype, device="meta")


def _host_stand_in(tensor: Tensor, stand_in: int) -> Any:
    value = folded(tensor)
    if value is not None:
        return to_host(value)
    if tensor.shape.ndims == 1 and tensor.dtype.is_integer:
        shape = partial_shape(tensor)
        if shape.ndims is not None:
            return [stand_in if s is None else s for s in shape.sizes]
    raise _UnknownValue(f"the value of {tensor.name} ({short_name(tensor.dtype)}) is unknown")
