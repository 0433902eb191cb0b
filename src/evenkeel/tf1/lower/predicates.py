"""Predicates known before a run, by a fed truth value or a constant: the other branch stays away."""

from collections.abc import Callable, Iterable
from typing import Any

from evenkeel.tf1.nodes import Operation, Tensor

_RULES: dict[str, Callable[..., bool]] = {
    "Identity": lambda value: value,
    "PlaceholderWithDefault": lambda value: value,
    "LogicalNot": lambda value: not value,
    "LogicalAnd": lambda one, other: one and other,
    "LogicalOr": lambda one, other: one or other,
}
SWITCHES, MERGES = ("Switch", "RefSwitch"), ("Merge", "RefMerge")


def deciding(ops: Iterable[Operation], fed: Iterable[Tensor]) -> list[Tensor]:
    """The fed tensors whose truth decides a Switch among ``ops``, in the order of feeding."""
    given, found = set(fed), set()
    todo = [op.inputs[1] for op in ops if op.type in SWITCHES]
    seen: set[Tensor] = set()
    while todo:
        tensor = todo.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        if tensor in given:
            found.add(tensor)
        elif tensor.op.type in _RULES:
            todo += tensor.op.inputs
    return [tensor for tensor in fed if tensor in found]


class Predicates:
    """What is known of predicates; ``fed`` has the truth of fed tensors, None where it is open."""

    def __init__(self, fed: dict[Tensor, bool | None]) -> None:
        self._values: dict[Tensor, bool | None] = dict(fed)

    def value(self, tensor: Tensor) -> bool | None:
        """The truth of a tensor, None where only the run can tell."""
        if tensor not in self._values:
            self._values[tensor] = self._found(tensor)
        return self._values[tensor]

    def _found(self, tensor: Tensor) -> bool | None:
        op = tensor.op
        if op.type == "Const" and tensor.shape.ndims == 0 and tensor.dtype.is_bool:
            return bool(op.attrs["value"])
        if op.type not in _RULES:
            return None
        values = [self.value(t) for t in op.inputs]
        return None if None in values else _RULES[op.type](*values)

    def open(self, context: Any) -> Any:
        """The innermost context at or around ``context`` that the run decides."""
        while context is not None and self._taken(context) is not None:
            context = context.outer_context
        return context

    def is_dead(self, context: Any) -> bool:
        """Whether a branch at or around ``context`` is known not to be taken."""
        while context is not None:
            if self._taken(context) is False:
                return True
            context = context.outer_context
        return False

    def _taken(self, context: Any) -> bool | None:
        if context.pred is None:
            return None
        value = self.value(context.pred)
        return None if value is None else value == bool(context.branch)

    def live_side(self, switch: Operation) -> int | None:
        """The output of a Switch that has the value, where that is known."""
        value = self.value(switch.inputs[1])
        return None if value is None else int(value)

    def live_input(self, merge: Operation) -> int | None:
        """The input of a Merge that has a value, where that is known."""
        live = [i for i, t in enumerate(merge.inputs) if not self._is_dead_tensor(t)]
        decided = len(live) == 1 and len(merge.inputs) > 1
        return live[0] if decided and merge.type == "Merge" else None

    def _is_dead_tensor(self, tensor: Tensor) -> bool:
        op = tensor.op
        if op.type in SWITCHES and self.live_side(op) == 1 - tensor.index:
            return True
        return self.is_dead(op._control_flow_context)
