"""``OPS``: operation type -> what it does, as a function of torch tensors and attributes."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evenkeel.tables import Table
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.shapes import TensorShape

Run = Callable[..., Any]  # tensors and host values in, tensors out: as many kinds as operations
ShapeRule = Callable[[Operation], list[TensorShape]]


@dataclass(frozen=True, slots=True)
class OpDef:
    """The meaning of one operation type.

    ``run`` takes one positional argument for each input argument of the signature (a list for a list
    argument), and by keyword the attributes that it names; ``op``, ``state`` and ``device`` by
    keyword are the node, the session's state and its device. Arguments in ``host`` come as Python
    values: ints, floats, bools, nested lists.
    """

    type: str
    run: Run
    host: frozenset[str]
    stateful: bool  # never folded, never run for its shape
    shape: ShapeRule | None
    keywords: tuple[str, ...]

    def bake(self, op: Operation, state: Any = None, device: Any = None) -> Run:
        """``run`` with this node's attributes put in: what remains are the inputs."""
        if not self.keywords:
            return self.run
        special = {"op": op, "state": state, "device": device}
        given = {k: special[k] if k in special else op.attrs[k] for k in self.keywords}
        return named(self.type, self.run, given)


def named(kind: str, run: Run, given: dict[str, Any]) -> Run:
    """``run`` with keywords put in, under a name that generated code can use."""

    def baked(*inputs: Any) -> Any:
        return run(*inputs, **given)

    baked.__name__ = baked.__qualname__ = kind.lower()
    baked.__module__ = "evenkeel.tf1.ops"
    return baked


OPS: Table[OpDef] = Table("operation")
GRADIENTS: Table[Run] = Table("gradient")


def op(
    *kinds: str, host: tuple[str, ...] = (), stateful: bool = False, shape: ShapeRule | None = None
) -> Callable[[Run], Run]:
    """Enter a function as the meaning of these operation types."""

    def enter(run: Run) -> Run:
        keywords = keywords_of(run)
        for kind in kinds:
            OPS.add(kind)(OpDef(kind, run, frozenset(host), stateful, shape, keywords))
        return run

    return enter


def keywords_of(run: Run) -> tuple[str, ...]:
    """The keyword-only parameters of a function; none for one written in C."""
    try:
        parameters = inspect.signature(run).parameters.values()
    except ValueError:
        return ()
    if not getattr(run, "__module__", "").startswith("evenkeel"):
        return ()
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
