"""Values of branches that were not taken.

A node that takes or waits for a dead value is dead. Where a value may be dead is known while code is
made, by the conditions under which it lives: ``(predicate, side)`` for every Switch it came through.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops.table import Run

Guards = frozenset[tuple[Tensor, int]]
ALWAYS: Guards = frozenset()


class Dead:
    """The value of an operation on the branch not taken."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "DEAD"


DEAD = Dead()


def switch(data: Any, pred: Any) -> Any:
    """(false side, true side): the value on the side taken."""
    if data is DEAD or pred is DEAD:
        return DEAD, DEAD
    return (DEAD, data) if bool(pred) else (data, DEAD)


def merge(*inputs: Any) -> Any:
    """The live input and its number; dead where none is."""
    for index, value in enumerate(inputs):
        if value is not DEAD:
            return value, torch.tensor(index, dtype=torch.int32)
    return DEAD, DEAD


def gate(value: Any, *_: Any) -> Any:
    """The value, for those that wait for the rest."""
    return value


def spreading(run: Run, count: int, waits: int = 0, many: bool = False) -> Run:
    """``run``, dead in its ``count`` outputs when an input is; the first ``waits`` are not its own."""
    dead: Any = (DEAD,) * count if many or count > 1 else DEAD

    def unless_dead(*inputs: Any) -> Any:
        if any(_is_dead(value) for value in inputs):
            return dead
        return run(*inputs[waits:])

    unless_dead.__name__ = unless_dead.__qualname__ = f"live_{getattr(run, '__name__', 'op')}"
    unless_dead.__module__ = "evenkeel.tf1.ops"
    return unless_dead


def _is_dead(value: Any) -> bool:
    return value is DEAD or (isinstance(value, list) and any(v is DEAD for v in value))


def branches(taken: Callable[..., Any], other: Callable[..., Any], counts: tuple[int, int]) -> Run:
    """One of two functions of the same inputs; the outputs of the other are dead."""
    dead = (DEAD,) * counts[0], (DEAD,) * counts[1]

    def cond(pred: Any, *inputs: Any) -> Any:
        if bool(pred):
            return (*taken(*inputs), *dead[1])
        return (*dead[0], *other(*inputs))

    cond.__module__ = "evenkeel.tf1.ops"
    cond.__qualname__ = "cond"
    return cond


def side_of(pred: Tensor, side: int) -> Guards:
    """The guard of one side of a predicate; copies of a predicate are the same one."""
    while pred.op.type == "Identity":
        pred = pred.op.inputs[0]
    return frozenset(((pred, side),))


class Living:
    """When each value lives: what is made under no condition is not here."""

    def __init__(self) -> None:
        self._guards: dict[Tensor | Operation, Guards] = {}

    def __contains__(self, thing: Tensor | Operation) -> bool:
        """Whether a value, or a node without one, may be dead."""
        return thing in self._guards

    def of(self, things: Iterable[Tensor | Operation]) -> Guards:
        """The conditions under which all of these live."""
        return ALWAYS.union(*[self._guards.get(thing, ALWAYS) for thing in things])

    def note(self, things: Iterable[Tensor | Operation], guards: Guards) -> None:
        """These live under ``guards``."""
        if guards:
            self._guards.update(dict.fromkeys(things, guards))

    def never(self, things: Iterable[Tensor]) -> None:
        """These are dead."""
        for thing in things:
            self._guards[thing] = frozenset(((thing, -1),))

    def merged(self, op: Operation) -> Guards:
        """When a Merge lives: always where its inputs are the two sides of one predicate."""
        first, *rest = (self.of([t]) for t in op.inputs)
        if not first or not all(rest):
            return ALWAYS
        if len(rest) == 1:
            other = rest[0]
            sides = {(pred, 1 - side) for pred, side in first - other}
            if sides == other - first and len(sides) == 1:
                return first & other
        return frozenset(((op.outputs[0], 0),))

    def only(self, things: Iterable[Tensor]) -> "Living":
        """What is known of these."""
        made = Living()
        made._guards = {t: self._guards[t] for t in things if t in self._guards}
        return made
