"""Resource variables: a handle is the variable's name, which nodes read from and write to."""

from typing import Any

import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.rules import scalar
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape, unknown_shape


@op("VarHandleOp", stateful=True, shape=scalar)
def handle(*, op: Any, shared_name: str) -> str:
    """The name under which the session keeps the value."""
    name: str = shared_name or op.name
    return name


def maker(tensor: Any) -> Any:
    """The VarHandleOp that a handle comes from; None where a file does not say."""
    made = tensor.op
    while made.type != "VarHandleOp" and made.inputs:
        made = made.inputs[0].op
    return made if made.type == "VarHandleOp" else None


def _whole(node: Any) -> list[TensorShape]:
    made = maker(node.inputs[0])
    return [unknown_shape() if made is None else made.attrs["shape"]]


@op("ReadVariableOp", stateful=True, shape=_whole)
def read(resource: str, *, state: Any, op: Any) -> Any:
    """The value now."""
    if resource not in state.variables:
        raise errors.FailedPreconditionError(
            None, op, f"Error while reading resource variable {resource} from Container: localhost. "
            "This could mean that the variable was uninitialized.",
        )  # fmt: skip
    return state.read(resource)


@op("VarIsInitializedOp", stateful=True, shape=scalar)
def is_initialized(resource: str, *, state: Any) -> Any:
    """Whether the variable has a value."""
    return torch.tensor(resource in state.variables)


@op("AssignVariableOp", stateful=True)
def assign(resource: str, value: Any, *, state: Any) -> None:
    """Another value in the place of the last."""
    state.write(resource, value)


@op("AssignAddVariableOp", stateful=True)
def assign_add(resource: str, value: Any, *, state: Any) -> None:
    """The variable plus ``value``."""
    state.write(resource, state.read(resource) + value)


@op("AssignSubVariableOp", stateful=True)
def assign_sub(resource: str, value: Any, *, state: Any) -> None:
    """The variable minus ``value``."""
    state.write(resource, state.read(resource) - value)


@op("VariableShape", stateful=True, shape=lambda node: [TensorShape([_whole(node)[0].ndims])])
def shape_of(input: str, *, state: Any, out_type: Any) -> Any:
    """The sizes."""
    return torch.tensor(state.read(input).shape, dtype=out_type.as_torch_dtype)


def _rows(node: Any) -> list[TensorShape]:
    whole, places = _whole(node)[0], node.inputs[1].shape
    if whole.ndims is None or places.ndims is None:
        return [unknown_shape()]
    return [places.concatenate(whole[1:])]


@op("ResourceGather", stateful=True, shape=_rows)
def gather(resource: str, indices: Any, *, state: Any) -> Any:
    """Some rows."""
    value = state.read(resource)
    rows = value.index_select(0, indices.reshape(-1).long())
    return rows.reshape(*indices.shape, *value.shape[1:])


def _scatter(kind: str, change: Any) -> None:
    def update(resource: str, indices: Any, updates: Any, *, state: Any) -> None:
        value, rows = state.read(resource), indices.reshape(-1).long()
        spread = updates.expand(*indices.shape, *value.shape[1:]).reshape(-1, *value.shape[1:])
        state.write(resource, change(value, rows, spread))

    update.__doc__ = f"{kind}: some rows of the variable."
    op(kind, stateful=True)(update)


_scatter("ResourceScatterUpdate", lambda value, rows, new: value.index_copy(0, rows, new))
_scatter("ResourceScatterAdd", lambda value, rows, new: value.index_add(0, rows, new))
_scatter("ResourceScatterSub", lambda value, rows, new: value.index_add(0, rows, -new))
