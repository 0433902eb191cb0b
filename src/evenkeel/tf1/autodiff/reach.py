"""Which nodes lie between the ys and the xs, and how many gradients each waits for."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from evenkeel.tf1.nodes import Operation, Tensor

Owner = Callable[[Operation], Any]  # the node to walk over: the operation, or the loop around it


def is_trainable(tensor: Tensor) -> bool:
    """Whether a gradient can flow through a tensor of this type."""
    kind = tensor.dtype.base_dtype
    return kind.is_floating or kind.is_complex or kind.name in ("resource", "variant")


def _reached(sources: Iterable[Any], owner: Owner) -> set[Any]:
    """What a trainable tensor leads to from the sources, themselves included."""
    found: set[Any] = set()
    queue = deque(sources)
    while queue:
        op = queue.popleft()
        if op not in found:
            found.add(op)
            for tensor in op.outputs:
                if is_trainable(tensor):
                    queue.extend(map(owner, tensor.consumers()))
    return found


class Between:
    """The nodes between ``targets`` and ``sources``, in TensorFlow's order, and what they wait for."""

    def __init__(self, targets: list[Any], sources: list[Any], owner: Owner) -> None:
        self.owner = owner
        reached = _reached(sources, owner)
        self.reachable = {op for op in targets if op in reached}
        self.ops: list[Any] = []
        queue = deque(targets)
        while queue:
            op = queue.popleft()
            if op in reached:
                self.ops.append(op)
                reached.remove(op)
                queue.extend(owner(t.op) for t in op.inputs)
        inside = set(self.ops)
        self.pending: dict[Any, int] = {}
        for op in self.ops:
            for tensor in op.inputs:
                maker = owner(tensor.op)
                if maker in inside:
                    self.pending[maker] = self.pending.get(maker, 0) + 1

    def stops(self, sources: list[Any], stopped: list[Operation]) -> set[Any]:
        """Where to go no further: sources that no other source lies behind, and what is stopped."""
        found = {
            op for op in sources if not any(self.pending.get(self.owner(t.op)) for t in op.inputs)
        }
        return found | set(stopped)
