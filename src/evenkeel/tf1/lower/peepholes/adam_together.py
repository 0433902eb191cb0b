"""All ApplyAdam of one training step in one: what each costs in Python is more than its arithmetic."""

from collections import defaultdict
from typing import Any

from evenkeel.tf1.lower.rewrites import peephole
from evenkeel.tf1.lower.steps import Plan, Step, stateful
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.updates import adam_of_all
from evenkeel.tf1.state import State

_SCALARS = slice(3, 9)  # beta1_power, beta2_power, lr, beta1, beta2, epsilon


@peephole
def adam_together(plan: Plan) -> None:
    """One step for the updates that share their numbers and wait for the same nodes."""
    groups: dict[Any, list[Step]] = defaultdict(list)
    for step in plan.steps:
        op = step.op
        plain = op.type == "ApplyAdam" and step.run is None and step.context is None
        if plain and not op.attrs["use_nesterov"]:
            groups[tuple(op.inputs[_SCALARS]), frozenset(op.control_inputs)].append(step)
    for members in groups.values():
        if len(members) > 1 and not _depend(plan, members):
            plan.replace(_together([step.op for step in members]))


def _depend(plan: Plan, members: list[Step]) -> bool:
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


def _together(ops: list[Operation]) -> Step:
    scalars = ops[0].inputs[_SCALARS]
    inputs = [*scalars, *(op.inputs[9] for op in ops)]
    outputs = [op.outputs[0] for op in ops]
    names = [tuple(t.op.name for t in op.inputs[:3]) for op in ops]

    def bound(state: State) -> Any:
        def adam(*given: Any) -> tuple[Any, ...]:
            return _run(state, names, tuple(float(v) for v in given[:6]), list(given[6:]))

        adam.__module__, adam.__qualname__ = "evenkeel.tf1.ops", "adam"
        return adam

    return stateful(ops, inputs, outputs, bound, "adam_together")


def _run(
    state: State, names: list[Any], numbers: tuple[float, ...], grads: list[Any]
) -> tuple[Any, ...]:
    variables, ms, vs = ([state.read(trio[i]) for trio in names] for i in range(3))
    changed = adam_of_all(variables, ms, vs, numbers, grads)
    for trio, new in zip(names, zip(*changed, strict=True), strict=True):
        for name, value in zip(trio, new, strict=True):
            state.write(name, value)
    return tuple(changed[0])
