"""Control dependencies: which operations new nodes wait for."""

from typing import Any

from evenkeel.tf1.nodes import IndexedSlices, Operation, Tensor


class Dependencies:
    """One ``control_dependencies`` block: what it waits for, and the nodes made inside it."""

    def __init__(self, operations: list[Operation], new_stack: bool = False) -> None:
        self.operations, self.new_stack = operations, new_stack
        self.seen: set[Operation] = set()


def as_operations(graph: Any, control_inputs: Any) -> list[Operation]:
    """The operations behind tensors, variables and operations; each once, in order."""
    listed = control_inputs if isinstance(control_inputs, list | tuple | set) else [control_inputs]
    found: dict[Operation, None] = {}
    for item in listed:
        known = item.op if isinstance(item, IndexedSlices) else item
        thing = graph.as_graph_element(known)
        found[thing.op if isinstance(thing, Tensor) else thing] = None
    return list(found)
