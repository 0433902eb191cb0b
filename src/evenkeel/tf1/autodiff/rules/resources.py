"""Gradients of reads of resource variables: those of the value."""

from typing import Any

from evenkeel.tf1.api.arrays import concat, expand_dims, reshape, size
from evenkeel.tf1.build import apply
from evenkeel.tf1.nodes import IndexedSlices, Operation
from evenkeel.tf1.ops.resources import maker
from evenkeel.tf1.ops.table import GRADIENTS

rule = GRADIENTS.add


@rule("ReadVariableOp")
def read(_op: Operation, grad: Any) -> Any:
    """The gradient of the value."""
    return grad


@rule("ResourceGather")
def gathered(op: Operation, grad: Any) -> list[Any]:
    """Rows, at the indices."""
    found = maker(op.inputs[0])
    whole = apply("VariableShape", op.inputs[0] if found is None else found.outputs[0])
    count = expand_dims(size(op.inputs[1]), 0)
    values = reshape(grad, concat([count, whole[1:]], 0))
    return [IndexedSlices(values, reshape(op.inputs[1], count), whole), None]
