"""All moving averages of one training step together: what each costs in Python is more than it does."""

from collections import defaultdict
from typing import Any

import torch

from evenkeel.tf1.fold import folded
from evenkeel.tf1.lower.peepholes.activation import passes_on
from evenkeel.tf1.lower.peepholes.updates_together import depend
from evenkeel.tf1.lower.rewrites import free, peephole
from evenkeel.tf1.lower.steps import Plan, Step, stateful
from evenkeel.tf1.lower.views import variable_of
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops.signature import signature
from evenkeel.tf1.state import State

Moved = tuple[Operation, Operation, Operation]  # average − value, times a share, taken away


@peephole
def averages_together(plan: Plan) -> None:
    """One step for the ``average −= (average − value) · share`` of one share that wait for the same."""
    groups: dict[Any, list[Moved]] = defaultdict(list)
    for step in plan.steps:
        moved = _moved(plan, step)
        if moved is not None and _alone(plan, moved):
            share = _known(plan, moved[1].inputs[1])
            waits = frozenset(c for op in moved for c in op.control_inputs)
            groups[share, waits].append(moved)
    for (share, _), members in groups.items():
        if len(members) > 1 and not depend(plan, [plan.step_of[m[2]] for m in members]):
            plan.replace(_together(members, share))


def _alone(plan: Plan, moved: Moved) -> bool:
    """Whether nobody looks at the difference or the step; the assignment may be waited for."""
    change = moved[1].outputs[0]
    seen = change in plan.fetched or sum(change in step.inputs for step in plan.steps) != 1
    return not seen and free(plan, moved[:2], (change,))


def _moved(plan: Plan, step: Step) -> Moved | None:
    """The three nodes behind an AssignSub, if they move an average."""
    last = step.op
    if last.type != "AssignSub" or not step.is_plain or step.context is not None:
        return None
    scaled = last.inputs[1].op
    away = scaled.inputs[0].op if scaled.type == "Mul" else last
    moved = (away, scaled, last)
    if away.type != "Sub" or not all(
        op in plan.step_of and plan.step_of[op].is_plain for op in moved
    ):
        return None
    share, name = _known(plan, scaled.inputs[1]), variable_of(last.inputs[0])
    usual = share is not None and away.inputs[1].dtype.is_floating
    reads = usual and _reads(plan, away.inputs[0], name)
    return moved if reads and _writers(plan, name) == [last] else None


def _reads(plan: Plan, tensor: Tensor, name: str) -> bool:
    """Whether this is the value of a variable, by whatever name."""
    while tensor not in plan.fed and tensor.op in plan.step_of:
        step = plan.step_of[tensor.op]
        if not passes_on(step):
            return False
        tensor = step.inputs[0]
        if tensor.dtype.is_ref:
            return variable_of(tensor) == name
    return False


def _writers(plan: Plan, name: str) -> list[Operation]:
    """The nodes that may change a variable."""
    return [
        step.op
        for step in plan.steps
        if not step.op.type.startswith("Ref")  # those pass a reference on
        and any(arg.ref for arg in signature(step.op.type).inputs)
        and any(t.dtype.is_ref and variable_of(t) == name for t in step.inputs)
    ]


def _known(plan: Plan, tensor: Tensor) -> float | None:
    """A number, where it is one: 1 − momentum, the momentum chosen by a branch."""
    step = plan.step_of.get(tensor.op)
    if tensor in plan.fed or step is None:
        return None
    if passes_on(step):
        return _known(plan, step.inputs[0])
    if tensor.op.type == "Sub" and step.is_plain:
        one, other = (_known(plan, t) for t in tensor.op.inputs)
        kind = tensor.dtype.as_numpy_dtype
        return None if one is None or other is None else float(kind(one) - kind(other))
    value = folded(tensor)
    return None if value is None or value.ndim else float(value)


def _together(members: list[Moved], share: float) -> Step:
    covers = [op for moved in members for op in moved]
    names = [variable_of(last.inputs[0]) for _, _, last in members]
    inputs = [away.inputs[1] for away, _, _ in members]
    outputs = [last.outputs[0] for _, _, last in members]

    def bound(state: State) -> Any:
        def averages(*values: Any) -> tuple[Any, ...]:
            before = [state.read(name) for name in names]
            steps = torch._foreach_sub(before, [v.detach() for v in values])
            torch._foreach_mul_(steps, share)
            after = torch._foreach_sub(before, steps)
            for name, value in zip(names, after, strict=True):
                state.write(name, value)
            return tuple(after)

        averages.__module__, averages.__qualname__ = "evenkeel.tf1.ops", "averages"
        return averages

    return stateful(covers, inputs, outputs, bound, "averages_together")
