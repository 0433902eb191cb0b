"""The trap of TensorFlow 1's batch normalization: trained, and UPDATE_OPS never run.

Sessions say what they run; at the end, an operation of UPDATE_OPS that no run executed, in a graph
that was trained, is told with the line that made it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from evenkeel.tf1 import session
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import Operation

_APPLY = ("Apply", "ResourceApply", "SparseApply", "ResourceSparseApply")
_CHANGE = ("AssignSub", "AssignAdd", "AssignSubVariableOp", "AssignAddVariableOp")
_LINES = 3


@dataclass
class _Seen:
    """What is kept of a graph, which may itself be gone at the end."""

    updates: dict[str, str] = field(default_factory=dict)  # name of an operation -> its line
    executed: set[str] = field(default_factory=set)
    trained: bool = False

    def note(self, graph: Graph, executed: frozenset[Operation]) -> None:
        found = [
            getattr(update, "op", update) for update in graph.get_collection(GraphKeys.UPDATE_OPS)
        ]
        self.updates |= {op.name: op.origin for op in found if isinstance(op, Operation)}
        self.executed |= {op.name for op in executed} & self.updates.keys()
        if not self.trained and found:
            variables = graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)
            names = {variable.op.name for variable in variables}
            self.trained = any(_trains(op, names) for op in executed)


class Watch:
    """What sessions ran since ``watching`` began."""

    def __init__(self) -> None:
        self._seen: list[_Seen] = []
        self._by_graph: WeakKeyDictionary[Graph, _Seen] = WeakKeyDictionary()

    def note(self, graph: Graph, executed: frozenset[Operation]) -> None:
        """Remember what a session executed in a graph."""
        if graph not in self._by_graph:
            self._seen.append(_Seen())
            self._by_graph[graph] = self._seen[-1]
        self._by_graph[graph].note(graph, executed)

    def warning(self) -> str:
        """The warning for operations that no run executed; empty where there is none."""
        lost: dict[str, str] = {}
        for seen in self._seen:
            if seen.trained:
                lost |= {n: line for n, line in seen.updates.items() if n not in seen.executed}
        if not lost:
            return ""
        lines = list(dict.fromkeys(filter(None, lost.values())))
        more = f" and {len(lines) - _LINES} more lines" if len(lines) > _LINES else ""
        return (
            f"warning: UPDATE_OPS holds {len(lost)} operations that no run ever executed\n"
            f"  at:  made by {', '.join(lines[:_LINES])}{more}\n"
            f"  got: training steps without them: {next(iter(lost))} and the others kept the moving "
            "averages at their initial values\n"
            "  do:  with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)): "
            "train_op = optimizer.minimize(loss)\n"
        )


@contextmanager
def watching() -> Iterator[Watch]:
    """Inside, what every session plans to execute is noted."""
    watch = Watch()
    session.observers.append(watch.note)
    try:
        yield watch
    finally:
        session.observers.remove(watch.note)


def _trains(op: Operation, trainable: set[str]) -> bool:
    if op.type.startswith(_APPLY):
        return True
    return op.type in _CHANGE and op.inputs[0].op.name in trainable
