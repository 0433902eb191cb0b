"""Gradients through the branches of ``tf.cond`` and the turns of ``tf.while_loop``."""

from typing import Any

from evenkeel.tf1.autodiff.loop_counters import entering, going_on, leaving
from evenkeel.tf1.autodiff.loop_sums import summed
from evenkeel.tf1.build import apply
from evenkeel.tf1.contexts import CondContext, inside, switch_of
from evenkeel.tf1.loop_context import WhileContext, current_state, output_context
from evenkeel.tf1.nodes import IndexedSlices, Operation
from evenkeel.tf1.ops.table import GRADIENTS

rule = GRADIENTS.add


@rule("Switch", "RefSwitch")
def switch(op: Operation, *grads: Any) -> list[Any]:
    """The gradient of the side that was taken."""
    context = op._get_control_flow_context()
    if isinstance(context, WhileContext):
        return [_turn(op, *grads), None]
    if isinstance(context, CondContext):
        if grads[1 - context.branch] is None:
            return [None, None]
        return [apply("Merge", list(grads), name="cond_grad")[0], None]
    false_grad = switch_of(grads[0], op.inputs[1])[0]
    true_grad = switch_of(grads[1], op.inputs[1])[1]
    return [apply("Merge", [false_grad, true_grad])[0], None]


def _turn(op: Operation, after: Any, within: Any) -> Any:
    """First from the exit: a Merge; then from the end of a turn: what the Merge goes on with."""
    merges = current_state(op.graph).merges
    if op in merges:
        if within is not None:
            going_on(merges[op], within)
        return None
    if after is None:
        return None
    merges[op] = apply("Merge", [after, after], name="b_switch")[0]
    return merges[op]


@rule("Merge", "RefMerge")
def merge(op: Operation, grad: Any, _index: Any = None) -> list[Any]:
    """The gradient, to the side that was taken."""
    context, state = output_context(op.inputs[0].op), current_state(op.graph)
    if isinstance(context, WhileContext):
        return switch_of(grad, state.context.pivot)
    if isinstance(context, CondContext):
        pred = context.pred if state is None else state.predicate(context)
        return switch_of(grad, pred, name="cond_grad")
    chosen = [apply("Equal", op.outputs[1], i) for i in range(len(op.inputs))]
    return [switch_of(grad, pred)[1] for pred in chosen]


@rule("Exit", "RefExit")
def exit_(op: Operation, grad: Any) -> Any:
    """The gradient enters the loop that goes back."""
    state = current_state(op.graph)
    context = state.context
    if not context.back_prop:
        return None
    if op._get_control_flow_context().grad_state is not None:
        raise TypeError("Second-order gradient for while loops not supported.")
    if isinstance(grad, IndexedSlices):
        raise TypeError(f"Type {type(grad)} not supported")
    with inside(context):
        return entering(context, grad, "b_exit")


@rule("NextIteration", "RefNextIteration")
def next_iteration(_op: Operation, grad: Any) -> Any:
    """The gradient; the Switch takes it into the next turn."""
    return grad


@rule("Enter", "RefEnter")
def enter(op: Operation, grad: Any) -> Any:
    """The gradient leaves the loop that goes back; that of a value of every turn is summed."""
    state = current_state(op.graph)
    if state is None or not state.context.back_prop:
        return grad
    if op.attrs["is_constant"]:
        return summed(state.context, op, grad)
    return leaving(state.context, grad)
