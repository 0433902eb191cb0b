"""Constants, placeholders, identities: what carries values through a graph."""

from typing import Any

import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.dtypes import short_name
from evenkeel.tf1.ops.rules import from_attr, merged, same, unknown
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape, bracketed
from evenkeel.tf1.values import to_torch


def _of_value(node: Any) -> list[TensorShape]:
    return [TensorShape(node.attrs["value"].shape)]


@op("Const", shape=_of_value)
def const(*, value: Any, dtype: Any, device: Any) -> Any:
    """The value itself; lowering makes it once and keeps it."""
    return to_torch(value, dtype, device)


@op("Placeholder", "PlaceholderV2", stateful=True, shape=from_attr)
def placeholder(*, op: Any) -> Any:
    """What must be fed; to run it is an error."""
    shape = op.attrs["shape"]
    known = f" and shape {bracketed(shape)}" if shape.ndims else ""
    raise errors.InvalidArgumentError(
        None,
        op,
        f"You must feed a value for placeholder tensor '{op.name}' with dtype "
        f"{short_name(op.outputs[0].dtype)}{known}",
    )


@op("PlaceholderWithDefault", stateful=True, shape=from_attr)
def placeholder_with_default(value: Any) -> Any:
    """The default, unless the output is fed."""
    return value


@op("Identity", "PreventGradient", "Snapshot", "CheckNumericsV2", shape=same)
def identity(value: Any) -> Any:
    """The value."""
    return value


@op("StopGradient", shape=same)
def stop_gradient(value: Any) -> Any:
    """The value, cut from what made it."""
    return value.detach() if isinstance(value, torch.Tensor) else value


@op("IdentityN", shape=lambda node: [t.shape for t in node.inputs])
def identity_n(values: list[Any]) -> Any:
    """The values."""
    return tuple(values)


@op("NoOp")
def no_op() -> None:
    """Nothing: control inputs are its meaning."""


@op("AddN", shape=merged)
def add_n(values: list[Any]) -> Any:
    """The sum, from left to right."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


@op("ControlTrigger", stateful=True, shape=unknown)
def control_trigger() -> None:
    """Nothing."""
