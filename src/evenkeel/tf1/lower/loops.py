"""Loops: all nodes of a ``tf.while_loop`` become one step, a Python loop over lowered functions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from evenkeel.tf1.loop_context import WhileContext
from evenkeel.tf1.lower.steps import Plan, Step, plain
from evenkeel.tf1.nodes import Operation, Tensor

Lowerer = Callable[[Plan, list[Tensor], Any], Callable[..., Any]]


class Loop:
    """What a loop step stands for: those of the loop's variables that something needs."""

    def __init__(self, context: WhileContext, members: list[Operation]) -> None:
        self.context = context
        own = [op for op in members if op._get_control_flow_context() is context]
        entries = [op for op in own if op.type == "Enter"]
        self.refs = [op for op in own if op.type == "RefEnter"]  # read by their variable's name
        self.merges = [op for op in own if op.type == "Merge" and op.inputs[0].op.type == "Enter"]
        switches = {op.inputs[0].op: op for op in own if op.type == "Switch" and _turns(op)}
        self.switches = [switches.get(op) for op in self.merges]
        self.outputs = [op.outputs[0] for op in own if op.type == "Exit"]
        starts = [op.inputs[0].op.inputs[0] for op in self.merges]
        self.inputs = list(dict.fromkeys([*starts, *(op.inputs[0] for op in entries)]))
        self.starts = [self.inputs.index(t) for t in starts]
        self.entries = entries + self.refs

    def run(self, lowerer: Lowerer) -> Callable[..., Any]:
        """The function of the loop's inputs."""
        merges, starts = self.merges, self.starts
        before = [op.outputs[0] for op in merges]
        left, turned = (self._sides(side) for side in (0, 1))
        following = [op.inputs[1].op for op in merges]
        # A turn ends when what the next one waits for is done: values that are put on stacks.
        waits = dict.fromkeys(c for op in following for c in op.control_inputs)
        condition = self._part(lowerer, [_pivot(self.context)], before, before)
        body = self._part(lowerer, [*(op.inputs[0] for op in following), *waits], before, turned)
        ends = [t.op.inputs[0] for t in self.outputs]
        finish = self._part(lowerer, ends, before, left, ended=True)
        count = len(merges)

        def loop(*values: Any) -> Any:
            current = tuple(values[i] for i in starts)
            while bool(condition(*current, *values)[0]):
                current = body(*current, *values)[:count]
            return finish(*current, *values)

        loop.__module__ = "evenkeel.tf1.ops"
        loop.__qualname__ = "loop"
        return loop

    def _sides(self, side: int) -> list[Tensor]:
        """The variables as a turn, or the end, has them; those without a Switch as the Merge has."""
        pairs = zip(self.merges, self.switches, strict=True)
        return [m.outputs[0] if s is None else s.outputs[side] for m, s in pairs]

    def _part(
        self, lowerer: Lowerer, wanted: list[Any], before: list[Tensor], given: list[Tensor],
        ended: bool = False,
    ) -> Any:  # fmt: skip
        """A function of the variables and the inputs: ``given``, where they differ, is ``before``."""
        first = list(dict.fromkeys([*given, *before]))
        where = [given.index(t) if t in given else before.index(t) for t in first]
        outside = [t for t in self.inputs if t not in first]
        plan = Plan(wanted, {*first, *outside})
        done = {*(t.op for t in first)}
        if ended and self.context.pivot_for_body is not None:
            done.add(
                self.context.pivot_for_body.op
            )  # dead in TensorFlow, and what waits for it too
        for op in done:  # nodes may wait for a pivot; inside its own iteration it has run
            plan.step_of[op] = Step((op,), (), (), (), _nothing, "pivot", self.context)
        for op in self.entries:  # what they wait for outside, the whole loop has waited for
            inputs = () if op in self.refs else tuple(op.inputs)
            plan.step_of[op] = replace(plain(op, plan.predicates), inputs=inputs, controls=())
        plan.collect()
        gather(plan, self.context)
        run = lowerer(plan, [*first, *outside], self.context)
        keep = [len(before) + i for i, t in enumerate(self.inputs) if t not in first]
        order = [*where, *keep]
        return lambda *v: run(*[v[i] for i in order])


def _turns(switch: Operation) -> bool:
    """Whether this is the Switch of a loop's variable."""
    return switch.inputs[1].op.type == "LoopCond" and switch.inputs[0].op.type == "Merge"


def _pivot(context: WhileContext) -> Tensor:
    if not isinstance(context.pivot, Tensor):
        raise RuntimeError(f"the loop {context.name} was never finished")  # noqa: TRY004  # no argument's fault
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
    loop = Loop(context, members)
    waits = dict.fromkeys(c for op in members for c in op.control_inputs if c not in inside)
    waits |= dict.fromkeys(op.inputs[0].op for op in loop.refs)
    outer = plan.predicates.open(context.outer_context)
    covers = tuple(sorted(inside, key=lambda op: op._id))
    outputs = tuple(loop.outputs)
    return Step(covers, tuple(loop.inputs), tuple(waits), outputs, loop.run, "while", outer)
