"""Values of branches that were not taken."""

from collections.abc import Callable
from typing import Any

import torch

from evenkeel.tf1.ops.table import Run


class Dead:
    """The value of an operation on the branch not taken."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "DEAD"


DEAD = Dead()


def switch(data: Any, pred: Any) -> Any:
    """(false side, true side): the value on the side taken."""
    return (DEAD, data) if bool(pred) else (data, DEAD)


def merge(*inputs: Any) -> Any:
    """The live input and its number; dead where none is."""
    for index, value in enumerate(inputs):
        if value is not DEAD:
            return value, torch.tensor(index, dtype=torch.int32)
    return DEAD, DEAD


def spreading(run: Run, count: int) -> Run:
    """``run``, whose ``count`` outputs are dead when an input is."""

    def unless_dead(*inputs: Any) -> Any:
        if any(_is_dead(value) for value in inputs):
            return DEAD if count == 1 else (DEAD,) * count
        return run(*inputs)

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
