"""Gradients of operations on sequences."""

from typing import Any

from evenkeel.tf1.build import apply
from evenkeel.tf1.ops.table import GRADIENTS


@GRADIENTS.add("ReverseSequence")
def reverse_sequence(op: Any, grad: Any) -> list[Any]:
    """The same places once more."""
    attrs = {name: op.attrs[name] for name in ("seq_dim", "batch_dim")}
    return [apply("ReverseSequence", grad, op.inputs[1], **attrs), None]
