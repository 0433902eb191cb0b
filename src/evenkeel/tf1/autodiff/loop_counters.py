"""How often a loop turned: counted on the way forward, counted down on the way back."""

from typing import Any

from evenkeel.tf1.build import apply, constant
from evenkeel.tf1.contexts import inside, switch_of
from evenkeel.tf1.loop_context import WhileContext
from evenkeel.tf1.nodes import Tensor


def entering(context: WhileContext, value: Tensor, name: str) -> Tensor:
    """The Enter node of a variable of a gradient's making; inside of the context already."""
    context.AddName(value.name)
    attrs = {"frame_name": context.name, "is_constant": False}
    count = context.parallel_iterations
    made: Tensor = apply("Enter", value, parallel_iterations=count, name=name, **attrs)
    made.set_shape(value.shape)
    context.enters.append(made)
    return made


def leaving(context: WhileContext, value: Tensor, name: str | None = None) -> Tensor:
    """The Exit node of a variable, known around the loop."""
    made: Tensor = apply("Exit", value, name=name)
    context.exits.append(made)
    if context.outer_context is not None:
        context.outer_context.AddName(made.name)
    return made


def going_on(merge: Tensor, value: Tensor) -> Tensor:
    """The NextIteration node that takes a value into a variable's next turn."""
    made: Tensor = apply("NextIteration", value)
    merge.op._update_input(1, made)
    return made


def count_turns(context: WhileContext, outer: Any) -> tuple[Tensor, Tensor]:
    """(how often the loop turned, the count for its next turn), added to a forward loop."""
    start = constant(0, name="f_count")
    if outer is not None:
        start.op._add_control_input(outer.next_count.op.inputs[0].op)
    with inside(context):
        enter = entering(context, start, "f_count")
        merge = apply("Merge", [enter, enter])[0]
        switch = switch_of(merge, context.pivot)
        following = going_on(merge, apply("Add", switch[1], 1))
        return leaving(context, switch[0], "f_count"), following


def count_down(context: WhileContext, count: Tensor, outer: Any) -> Tensor:
    """Make ``context`` turn ``count`` times: the count for its next turn."""
    one = constant(1, name="b_count")
    with inside(context):
        enter = entering(context, count, "b_count")
        merge = context.pivot_for_pred = apply("Merge", [enter, enter])[0]
        context.pivot = apply("LoopCond", apply("GreaterEqual", merge, one), name="b_count")
        switch = switch_of(merge, context.pivot)
        index = context.pivot_for_body = apply("Sub", switch[1], one)
        following = going_on(merge, index)
        zero = leaving(context, switch[0], "b_count")
        if outer is not None:
            outer.grad_sync._add_control_input(zero.op)
        return following
