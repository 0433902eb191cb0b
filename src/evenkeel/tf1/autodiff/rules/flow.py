"""Gradients through the branches of ``tf.cond``."""

from typing import Any

from evenkeel.tf1.build import apply
from evenkeel.tf1.contexts import CondContext, switch_of
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.table import GRADIENTS

rule = GRADIENTS.add


@rule("Switch", "RefSwitch")
def switch(op: Operation, *grads: Any) -> list[Any]:
    """The gradient of the side that was taken."""
    context = op._get_control_flow_context()
    if isinstance(context, CondContext):
        if grads[1 - context.branch] is None:
            return [None, None]
        return [apply("Merge", list(grads), name="cond_grad")[0], None]
    false_grad = switch_of(grads[0], op.inputs[1])[0]
    true_grad = switch_of(grads[1], op.inputs[1])[1]
    return [apply("Merge", [false_grad, true_grad])[0], None]


@rule("Merge", "RefMerge")
def merge(op: Operation, grad: Any, _index: Any = None) -> list[Any]:
    """The gradient, to the side that was taken."""
    source = op.inputs[0].op
    context = source._get_control_flow_context()
    if isinstance(context, CondContext):
        return switch_of(grad, context.pred, name="cond_grad")
    chosen = [apply("Equal", op.outputs[1], i) for i in range(len(op.inputs))]
    return [switch_of(grad, pred)[1] for pred in chosen]
