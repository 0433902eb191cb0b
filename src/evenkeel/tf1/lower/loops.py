"""Loops: all nodes of a ``tf.while_loop`` become one step, a Python loop over lowered functions."""

from collections.abc import Callable
from typing import Any

from evenkeel.tf1.loop_context import WhileContext
from evenkeel.tf1.lower.steps import Plan, Step
from evenkeel.tf1.nodes import Operation, Tensor

Lowerer = Callable[[Plan, list[Tensor], Any], Callable[..., Any]]


class Loop:
    """What a loop step stands for."""

    def __init__(self, context: WhileContext, enters: list[Tensor]) -> None:
        self.context = context
        starts = [m.op.inputs[0].op.inputs[0] for m in context.merges]
        self.inputs = list(dict.fromkeys([*starts, *enters]))
        self.starts = [self.inputs.index(t) for t in starts]

    def run(self, lowerer: Lowerer) -> Callable[..., Any]:
        """The function of the loop's inputs."""
        context, starts = self.context, self.starts
        condition = self._part(lowerer, [_pivot(context)], context.merges)
        taken = [op.outputs[1] for op in context.switches]
        body = self._part(lowerer, [m.op.inputs[1].op.inputs[0] for m in context.merges], taken)

        def loop(*values: Any) -> Any:
            current = tuple(values[i] for i in starts)
            while bool(condition(*current, *values)[0]):
                current = body(*current, *values)
            return current

        loop.__module__ = "evenkeel.tf1.ops"
        loop.__qualname__ = "loop"
        return loop

    def _part(self, lowerer: Lowerer, wanted: list[Any], given: list[Tensor]) -> Any:
        outside = [t for t in self.inputs if t not in given]
        plan = Plan(wanted, {*given, *outside})
        done = {*(t.op for t in given)}
        for op in done:  # nodes may wait for a pivot; inside its own iteration it has run
            plan.step_of[op] = Step((op,), (), (), (), _nothing, "pivot", self.context)
        plan.collect()
        gather(plan, self.context)
        run = lowerer(plan, [*given, *outside], self.context)
        keep = [i for i, t in enumerate(self.inputs) if t not in given]
        count = len(given)
        return lambda *v: run(*v[:count], *(v[count + i] for i in keep))


def _pivot(context: WhileContext) -> Tensor:
    if context.pivot is None:
        raise RuntimeError(f"the loop {context.name} was never finished")
    return context.pivot


def _nothing() -> tuple[Any, ...]:
    return ()


def gather(plan: Plan, below: Any) -> None:
    """Put one step in the place of each loop right below a context, or inside its branches."""
    found: dict[WhileContext, None] = {}
    for step in plan.steps:
        if (context := _outermost(step.context, plan, below)) is not None:
            found[context] = None
    for context in found:
        members = [s for s in plan.steps if _outermost(s.context, plan, below) is context]
        plan.replace(loop_step(context, [op for s in members for op in s.covers], plan))
    plan.collect()


def _outermost(context: Any, plan: Plan, below: Any) -> WhileContext | None:
    found = None
    while context is not None and context is not below:
        found = context if isinstance(context, WhileContext) else found
        context = plan.predicates.open(context.outer_context)
    return found


def loop_step(context: WhileContext, members: list[Operation], plan: Plan) -> Step:
    """The step of a whole loop."""
    inside = set(members)
    enters = [
        op.inputs[0]
        for op in members
        if op.type == "Enter" and op._get_control_flow_context() is context
    ]
    loop = Loop(context, enters)
    waits = dict.fromkeys(c for op in members for c in op.control_inputs if c not in inside)
    outer = plan.predicates.open(context.outer_context)
    covers = tuple(sorted(inside, key=lambda op: op._id))
    outputs = tuple(context.exits)
    return Step(covers, tuple(loop.inputs), tuple(waits), outputs, loop.run, "while", outer)
