"""Steps: what a lowered program does one after the other. A step is a node, or several fused."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from evenkeel.tf1.nodes import Operation, Tensor


@dataclass(frozen=True, eq=False)
class Step:
    """``run(*inputs) -> outputs`` in the place of the nodes that it covers.

    ``run`` is None for a plain node, whose kernel is in the table of operations.
    """

    covers: tuple[Operation, ...]
    inputs: tuple[Tensor, ...]
    controls: tuple[Operation, ...]
    outputs: tuple[Tensor, ...]
    run: Callable[..., Any] | None = None
    name: str = ""
    context: Any = None
    needs_state: bool = False

    @property
    def op(self) -> Operation:
        """The node, or the last of the nodes covered."""
        return self.covers[-1]

    @property
    def order(self) -> int:
        """Where creation put it."""
        return self.op._id


def plain(op: Operation) -> Step:
    """The step of one node."""
    context = op._control_flow_context
    # A branch runs when its predicate is known, also when nothing in it takes a Switch.
    waits = () if context is None or context.pred is None else (context.pred,)
    return Step(
        (op,),
        (*op.inputs, *waits),
        tuple(op.control_inputs),
        tuple(op.outputs),
        context=context,
    )


def fused(
    covers: Iterable[Operation],
    inputs: Iterable[Tensor],
    outputs: Iterable[Tensor],
    run: Callable[..., Any],
    name: str,
) -> Step:
    """One step for several nodes; control inputs from outside stay."""
    nodes = tuple(sorted(covers, key=lambda op: op._id))
    inside = set(nodes)
    waits = dict.fromkeys(c for op in nodes for c in op.control_inputs if c not in inside)
    context = nodes[-1]._control_flow_context
    return Step(nodes, tuple(inputs), tuple(waits), tuple(outputs), run, name, context)


def stateful(
    covers: Iterable[Operation],
    inputs: Iterable[Tensor],
    outputs: Iterable[Tensor],
    bound: Callable[..., Any],
    name: str,
) -> Step:
    """``fused`` for nodes that change variables: ``bound(state)`` gives the function to run."""
    step = fused(covers, inputs, outputs, bound, name)
    return replace(step, needs_state=True)


class Plan:
    """The steps that a set of fetches needs: found backwards, stopping at what is fed."""

    def __init__(self, fetched: list[Any], fed: set[Tensor]) -> None:
        self.fetched, self.fed = fetched, fed
        self.step_of: dict[Operation, Step] = {}  # replacements
        self.steps: list[Step] = []

    def replace(self, step: Step) -> None:
        """Put ``step`` in the place of the nodes that it covers."""
        self.step_of.update(dict.fromkeys(step.covers, step))

    def collect(self) -> list[Step]:
        """The steps needed, in no particular order."""
        found: dict[Step, None] = {}
        todo = [t for t in self.fetched if t not in self.fed]
        while todo:
            thing = todo.pop()
            if isinstance(thing, Tensor) and thing in self.fed:
                continue
            step = self._step(thing.op if isinstance(thing, Tensor) else thing)
            if step not in found:
                found[step] = None
                todo += step.inputs
                todo += self._awaited(step)
        self.steps = sorted(found, key=lambda s: s.order)
        return self.steps

    def _step(self, op: Operation) -> Step:
        if op not in self.step_of:
            self.step_of[op] = plain(op)
        return self.step_of[op]

    def _awaited(self, step: Step) -> list[Operation]:
        """What a step waits for; a placeholder that is fed is there already."""
        fed = {t.op for t in self.fed if t.op.type in ("Placeholder", "PlaceholderWithDefault")}
        return [op for op in step.controls if op not in fed]

    def predecessors(self, step: Step) -> list[Step]:
        """The steps that must run before."""
        before = [self._step(t.op) for t in step.inputs if t not in self.fed]
        before += [self._step(op) for op in self._awaited(step)]
        return [b for b in dict.fromkeys(before) if b is not step]
