"""Which operations depend on which tensors."""

from typing import Any

from evenkeel.tf1.nodes import Operation, Tensor


def depending(things: list[Any], inputs: Any, known: list[Tensor]) -> list[Any]:
    """Those of ``things`` behind ``inputs``; with None those behind none of ``known``."""
    if inputs is None:
        sources = {t.op for t in known}
        return [t for t in things if not sources & _before(t)]
    listed = inputs if isinstance(inputs, list | tuple) else [inputs]
    sources = {t.op for t in listed}
    return [t for t in things if sources & _before(t)]


def _before(thing: Any) -> set[Operation]:
    todo = [thing if isinstance(thing, Operation) else thing.op]
    found: set[Operation] = set()
    while todo:
        op = todo.pop()
        if op not in found:
            found.add(op)
            todo += [t.op for t in op.inputs]
    return found
