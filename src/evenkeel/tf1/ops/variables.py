"""Variables: a reference is the variable's name; assignments replace the value in the state."""

from typing import Any

import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.infer import ShapeConflict
from evenkeel.tf1.ops.rules import from_attr, merge, same, scalar
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape


@op("VariableV2", "Variable", "TemporaryVariable", stateful=True, shape=from_attr)
def variable(*, op: Any, state: Any) -> Any:
    """The value now."""
    return state.read(op.name)


@op("IsVariableInitialized", stateful=True, shape=scalar)
def is_variable_initialized(ref: str, *, state: Any) -> Any:
    """Whether the variable has a value."""
    return torch.tensor(ref in state.variables)


def _assigned(node: Any) -> list[TensorShape]:
    ref, value = (t.shape for t in node.inputs)
    return [merge(ref, value) if node.attrs["validate_shape"] else value]


@op("Assign", stateful=True, shape=_assigned)
def assign(ref: str, value: Any, *, state: Any, validate_shape: bool, op: Any) -> Any:
    """The new value; its shape must be the variable's unless that is not asked for."""
    shape = op.inputs[0].shape
    if validate_shape and not shape.is_compatible_with(list(value.shape)):
        raise errors.InvalidArgumentError(
            None,
            op,
            "Assign requires shapes of both tensors to match. lhs shape= "
            f"{_sizes(shape.sizes)} rhs shape= {_sizes(value.shape)}",
        )
    return state.write(ref, value)


def _sizes(sizes: Any) -> str:
    return "[" + ",".join(str(s) for s in sizes) + "]"


def _updated(node: Any) -> list[TensorShape]:
    return [merge(node.inputs[0].shape, node.inputs[1].shape)]


@op("AssignAdd", stateful=True, shape=_updated)
def assign_add(ref: str, value: Any, *, state: Any) -> Any:
    """The variable plus ``value``."""
    return state.write(ref, state.read(ref) + value)


@op("AssignSub", stateful=True, shape=_updated)
def assign_sub(ref: str, value: Any, *, state: Any) -> Any:
    """The variable minus ``value``."""
    return state.write(ref, state.read(ref) - value)


@op("CountUpTo", stateful=True, shape=same)
def count_up_to(ref: str, *, limit: int, state: Any, op: Any) -> Any:
    """The value before it grows by one; OutOfRangeError at the limit."""
    value = state.read(ref)
    if int(value) >= limit:
        raise errors.OutOfRangeError(None, op, f"Reached limit of {limit}")
    state.write(ref, value + 1)
    return value


def scattered(node: Any) -> list[TensorShape]:
    """The variable's own shape; the updates must be one row an index."""
    ref, indices, updates = (t.shape for t in node.inputs)
    if None not in (ref.ndims, indices.ndims) and updates.ndims:
        expected = indices.concatenate(ref[1:])
        if not updates.is_compatible_with(expected):
            raise ShapeConflict(
                "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = "
                f"[], got updates.shape {updates}, indices.shape {indices}, params.shape {ref}"
            )
    return [ref]


def _scatter(kind: str, change: Any) -> None:
    def update(ref: str, indices: Any, updates: Any, *, state: Any, op: Any) -> Any:
        value = state.read(ref)
        rows = indices.reshape(-1).long()
        if rows.numel() and not bool(((rows >= 0) & (rows < value.shape[0])).all()):
            bad = int(rows[(rows < 0) | (rows >= value.shape[0])][0])
            raise errors.InvalidArgumentError(
                None, op, f"indices[0] = {bad} is not in [0, {value.shape[0]})"
            )
        spread = updates.expand(*indices.shape, *value.shape[1:]).reshape(-1, *value.shape[1:])
        return state.write(ref, change(value, rows, spread))

    update.__doc__ = f"{kind}: some rows of the variable."
    op(kind, stateful=True, shape=scattered)(update)


_scatter("ScatterUpdate", lambda value, rows, new: value.index_copy(0, rows, new))
_scatter("ScatterAdd", lambda value, rows, new: value.index_add(0, rows, new))
_scatter("ScatterSub", lambda value, rows, new: value.index_add(0, rows, -new))
_scatter("ScatterMul", lambda value, rows, new: value.index_reduce(0, rows, new, "prod"))
_scatter("ScatterMax", lambda value, rows, new: value.index_reduce(0, rows, new, "amax"))
_scatter("ScatterMin", lambda value, rows, new: value.index_reduce(0, rows, new, "amin"))
_scatter(
    "ScatterDiv",
    lambda value, rows, new: value.index_reduce(0, rows, torch.reciprocal(new), "prod"),
)
