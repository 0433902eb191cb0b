"""Reads of a variable that show what was written since, to those who waited for the write.

In TensorFlow an Identity of a reference gives the variable's own memory: a node that runs after an
update sees what that left, though the read itself was before; so does who fetches it, at the end of the
run. Here values are never written to, so these read anew. Who is not bound to run after the update has
the value that was read.
"""

from evenkeel.tf1.nodes import Operation, Tensor

FORWARDS_REF = ("RefSwitch", "RefIdentity", "RefEnter", "RefMerge", "RefNextIteration", "RefExit")


def variable_of(tensor: Tensor) -> str:
    """The name of the variable behind a reference."""
    while tensor.op.inputs and tensor.op.inputs[0].dtype.is_ref:
        tensor = tensor.op.inputs[0]
    return tensor.op.name


class Views:
    """The reads so far, and what was written since each."""

    def __init__(self) -> None:
        self._of: dict[Tensor, tuple[str, int]] = {}  # the variable, its writes before the read
        self._writers: dict[str, list[Operation]] = {}

    def note(self, tensor: Tensor, source: Tensor) -> None:
        """``tensor`` is ``source`` by another name, which may be a reference or a read of one."""
        if source.dtype.is_ref:
            name = variable_of(source)
            self._of[tensor] = name, len(self._writers.get(name, ()))
        elif source in self._of:
            self._of[tensor] = self._of[source]

    def written(self, name: str, op: Operation) -> None:
        """A variable got another value."""
        self._writers.setdefault(name, []).append(op)

    def overwritten(self, tensor: Tensor, reader: Operation | None) -> str | None:
        """The variable to read anew, where ``reader`` comes after a write that the read did not see.

        No reader is the end of the run, after all writes.
        """
        if tensor not in self._of:
            return None
        name, before = self._of[tensor]
        since = set(self._writers.get(name, ())[before:])
        return name if since and (reader is None or _comes_after(reader, since)) else None


def _comes_after(op: Operation, writers: set[Operation]) -> bool:
    seen, todo = {op}, [op]
    while todo:
        one = todo.pop()
        for before in (*(t.op for t in one.inputs), *one.control_inputs):
            if before in writers:
                return True
            if before not in seen:
                seen.add(before)
                todo.append(before)
    return False
