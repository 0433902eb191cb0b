"""Which nodes lie between the ys and the xs, and how many gradients each waits for."""

from collections import deque
from collections.abc import Iterable

from evenkeel.tf1.nodes import Operation, Tensor


def is_trainable(tensor: Tensor) -> bool:
    """Whether a gradient can flow through a tensor of this type."""
    kind = tensor.dtype.base_dtype
    return kind.is_floating or kind.is_complex or kind.name in ("resource", "variant")


def _reached(sources: Iterable[Operation]) -> set[Operation]:
    """What a trainable tensor leads to from the sources, themselves included."""
    found: set[Operation] = set()
    queue = deque(sources)
    while queue:
        op = queue.popleft()
        if op not in found:
            found.add(op)
            for tensor in op.outputs:
                if is_trainable(tensor):
                    queue.extend(tensor.consumers())
    return found


class Between:
    """The nodes between ``targets`` and ``sources``, in TensorFlow's order, and what they wait for."""

    def __init__(self, targets: list[Operation], sources: list[Operation]) -> None:
        reached = _reached(sources)
        self.reachable = {op for op in targets if op in reached}
        self.ops: list[Operation] = []
        queue = deque(targets)
        while queue:
            op = queue.popleft()
            if op in reached:
                self.ops.append(op)
                reached.remove(op)
                queue.extend(t.op for t in op.inputs)
        self._inside = set(self.ops)
        self.pending: dict[Operation, int] = {}

    def include(self, ops: list[Operation]) -> None:
        """These belong to it too."""
        new = [op for op in ops if op not in self._inside]
        self.ops += new
        self._inside.update(new)

    def count(self) -> None:
        """Find how many gradients each node waits for."""
        for op in self.ops:
            for tensor in op.inputs:
                if tensor.op in self._inside:
                    self.pending[tensor.op] = self.pending.get(tensor.op, 0) + 1

    def stops(self, sources: list[Operation], stopped: list[Operation]) -> set[Operation]:
        """Where to go no further: sources that no other source lies behind, and what is stopped."""
        found = {op for op in sources if not any(self.pending.get(t.op) for t in op.inputs)}
        return found | set(stopped)
