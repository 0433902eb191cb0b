"""All updates of one training step in one: what each costs in Python is more than its arithmetic."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evenkeel.tf1.lower.rewrites import peephole
from evenkeel.tf1.lower.steps import Plan, Step, stateful
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.updates import adam_of_all, descent_of_all
from evenkeel.tf1.state import State


@dataclass(frozen=True)
class _Kind:
    """An update: how many variables it changes, how many numbers follow, then the gradient."""

    refs: int
    numbers: int
    rule: Callable[..., tuple[Any, ...]]  # (lists of values, numbers, gradients) -> lists of values


def _adam(values: list[Any], numbers: tuple[float, ...], grads: list[Any]) -> tuple[Any, ...]:
    variables, ms, vs = values
    return adam_of_all(variables, ms, vs, numbers, grads)


def _descent(values: list[Any], numbers: tuple[float, ...], grads: list[Any]) -> tuple[Any, ...]:
    return (descent_of_all(values[0], numbers[0], grads),)


_KINDS = {"ApplyAdam": _Kind(3, 6, _adam), "ApplyGradientDescent": _Kind(1, 1, _descent)}


@peephole
def updates_together(plan: Plan) -> None:
    """One step for the updates that share their numbers and wait for the same nodes."""
    groups: dict[Any, list[Step]] = defaultdict(list)
    for step in plan.steps:
        op = step.op
        kind = _KINDS.get(op.type)
        if kind and step.is_plain and step.context is None and not op.attrs.get("use_nesterov"):
            numbers = op.inputs[kind.refs : kind.refs + kind.numbers]
            groups[op.type, tuple(numbers), frozenset(op.control_inputs)].append(step)
    for (name, *_), members in groups.items():
        if len(members) > 1 and not depend(plan, members):
            plan.replace(_together([step.op for step in members], _KINDS[name]))


def depend(plan: Plan, members: list[Step]) -> bool:
    """Whether one of the steps needs another to have run."""
    inside = set(members)
    todo = [before for step in members for before in plan.predecessors(step)]
    seen: set[Step] = set()
    while todo:
        step = todo.pop()
        if step in inside:
            return True
        if step not in seen:
            seen.add(step)
            todo += plan.predecessors(step)
    return False


def _together(ops: list[Operation], kind: _Kind) -> Step:
    last = kind.refs + kind.numbers
    inputs = [*ops[0].inputs[kind.refs : last], *(op.inputs[last] for op in ops)]
    outputs = [op.outputs[0] for op in ops]
    names = [tuple(t.op.name for t in op.inputs[: kind.refs]) for op in ops]

    def bound(state: State) -> Any:
        def updates(*given: Any) -> tuple[Any, ...]:
            numbers = tuple(float(v) for v in given[: kind.numbers])
            return _run(state, kind, names, numbers, list(given[kind.numbers :]))

        updates.__module__, updates.__qualname__ = "evenkeel.tf1.ops", "updates"
        return updates

    return stateful(ops, inputs, outputs, bound, "updates_together")


def _run(
    state: State, kind: _Kind, names: list[Any], numbers: tuple[float, ...], grads: list[Any]
) -> tuple[Any, ...]:
    values = [[state.read(row[i]) for row in names] for i in range(kind.refs)]
    changed = kind.rule(values, numbers, grads)
    for row, new in zip(names, zip(*changed, strict=True), strict=True):
        for name, value in zip(row, new, strict=True):
            state.write(name, value)
    return tuple(changed[0])
