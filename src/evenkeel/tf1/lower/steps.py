"""Steps: what a lowered program does one after the other. A step is a node, or several fused."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from evenkeel.tf1.lower.predicates import Predicates
from evenkeel.tf1.nodes import Operation, Tensor

DEAD_STEP = "dead"  # a node of a branch that is known not to be taken
ALIAS = "alias"  # a node that gives its first input another name, and does nothing else


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
    def is_plain(self) -> bool:
        """Whether this is one node as the program built it."""
        return self.run is None and not self.name

    @property
    def order(self) -> int:
        """Where creation put it."""
        return self.op._id


def plain(op: Operation, predicates: Predicates) -> Step:
    """The step of one node: what predicates that are known leave of it."""
    context = op._control_flow_context
    if predicates.is_dead(context):
        return Step((op,), (), (), tuple(op.outputs), name=DEAD_STEP)
    if (taken := _taken(op, predicates)) is not None:
        return replace(alias(op, taken), context=predicates.open(context))
    context = predicates.open(context)
    # A branch runs when its predicate is known, also when nothing in it takes a Switch.
    waits = () if context is None or context.pred is None else (context.pred,)
    return Step(
        (op,),
        (*op.inputs, *waits),
        tuple(op.control_inputs),
        tuple(op.outputs),
        context=context,
    )


def _taken(op: Operation, predicates: Predicates) -> Tensor | None:
    """What a Switch or a Merge passes on, where that is known."""
    if op.type == "Switch" and predicates.live_side(op) is not None:
        return op.inputs[0]
    at = predicates.live_input(op) if op.type == "Merge" else None
    return None if at is None else op.inputs[at]


def alias(op: Operation, source: Tensor) -> Step:
    """The step of a node whose result is known to be ``source``."""
    waits, context = tuple(op.control_inputs), op._control_flow_context
    return Step((op,), (source,), waits, tuple(op.outputs), name=ALIAS, context=context)


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

    def __init__(
        self, fetched: list[Any], fed: set[Tensor], known: dict[Tensor, bool] | None = None
    ) -> None:
        self.fetched, self.fed = fetched, fed
        self.predicates = Predicates(dict.fromkeys(fed) | (known or {}))
        self.step_of: dict[Operation, Step] = {}  # replacements
        self.steps: list[Step] = []

    def replace(self, step: Step) -> None:
        """Put ``step`` in the place of the nodes that it covers."""
        step = replace(step, context=self.predicates.open(step.context))
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
            self.step_of[op] = plain(op, self.predicates)
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
