"""The order of steps at one level: creation order where data allow it, branches gathered in groups."""

import heapq
from collections.abc import Iterator
from typing import Any

from evenkeel.tf1.lower.steps import Plan, Step
from evenkeel.tf1.nodes import Tensor


class Group:
    """Steps of the two branches of one ``tf.cond``, to be run as one."""

    def __init__(self, pred: Tensor, steps: list[Step], level: "_Level") -> None:
        self.pred, self.op = pred, steps[0].op
        self.sides: dict[int, list[Step]] = {0: [], 1: []}
        for step in steps:
            self.sides[branch_of(step.context, level.plan, level.below).branch].append(step)


def branch_of(context: Any, plan: Plan, below: Any) -> Any:
    """The context right below ``below`` that ``context`` is in; None at the level itself."""
    child = None
    while context is not None and context is not below:
        child, context = context, plan.predicates.open(context.outer_context)
    return child if context is below else None


class _Level:
    """Steps of one level, waiting for one another."""

    def __init__(self, plan: Plan, steps: list[Step], below: Any) -> None:
        self.plan, self.below, self.members = plan, below, set(steps)
        self.waits: dict[Step, int] = {}
        self.after: dict[Step, list[Step]] = {}
        self.direct: list[tuple[int, Step]] = []
        self.inner: dict[Tensor, list[Step]] = {}
        for step in steps:
            before = [p for p in plan.predecessors(step) if p in self.members]
            self.waits[step] = len(before)
            for previous in before:
                self.after.setdefault(previous, []).append(step)
        for step in steps:
            if not self.waits[step]:
                self.ready(step)

    def ready(self, step: Step) -> None:
        """Put a step that waits for nothing where it will be found."""
        branch = branch_of(step.context, self.plan, self.below)
        if branch is None:
            heapq.heappush(self.direct, (step.order, step))
        else:
            self.inner.setdefault(branch.pred, []).append(step)

    def done(self, step: Step) -> None:
        """Release what waited for ``step``."""
        for following in self.after.get(step, ()):
            self.waits[following] -= 1
            if not self.waits[following]:
                self.ready(following)

    def gather(self) -> Group:
        """All that can run now inside one ``tf.cond``: the one that was created first."""
        pred = min(self.inner, key=lambda p: min(s.order for s in self.inner[p]))
        steps: list[Step] = []
        while self.inner.get(pred):
            step = self.inner[pred].pop()
            steps.append(step)
            self.done(step)
        del self.inner[pred]
        steps.sort(key=lambda s: s.order)
        return Group(pred, steps, self)


def level(plan: Plan, steps: list[Step], below: Any) -> Iterator[Step | Group]:
    """Steps and groups in an order in which each has what it needs."""
    waiting = _Level(plan, steps, below)
    count = 0
    while waiting.direct or waiting.inner:
        if waiting.direct:
            step = heapq.heappop(waiting.direct)[1]
            waiting.done(step)
            count += 1
            yield step
        else:
            group = waiting.gather()
            count += len(group.sides[0]) + len(group.sides[1])
            yield group
    if count != len(steps):
        stuck = [s.op.name for s in steps if waiting.waits[s]]
        raise RuntimeError(f"the graph has a cycle through {', '.join(stuck[:5])}")
