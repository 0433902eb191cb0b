"""Contexts of control flow: which branch of which ``tf.cond`` a node belongs to.

A node made inside a branch takes nothing from outside directly: every outside tensor goes through a
Switch of the branch's predicate, so that the node is dead on the other branch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evenkeel.tf1.build import apply
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.stacks import get_default_graph


@contextmanager
def inside(context: Any) -> Iterator[None]:
    """New nodes belong to this context; None is outside of all."""
    graph = get_default_graph()
    before = graph._get_control_flow_context()
    graph._set_control_flow_context(context)
    try:
        yield
    finally:
        graph._set_control_flow_context(before)


@contextmanager
def entered(context: Any) -> Iterator[None]:
    """New nodes belong to this context; with None to the one that they would anyway."""
    with inside(context or get_default_graph()._get_control_flow_context()):
        yield


class CondContext:
    """One branch: its predicate, its pivot (what its nodes wait for), what came in from outside."""

    def __init__(self, pred: Tensor, pivot: Tensor, branch: int) -> None:
        self._begin(get_default_graph().unique_name("cond_text"), pred, pivot, branch)
        self.outer_context: Any = get_default_graph()._get_control_flow_context()

    @classmethod
    def restored(
        cls, name: str, pred: Tensor, pivot: Tensor, branch: int, outer: Any
    ) -> "CondContext":
        """The context of a branch that came with a graph: its nodes are there already."""
        made = cls.__new__(cls)
        made._begin(name, pred, pivot, branch)
        made.outer_context = outer
        return made

    def _begin(self, name: str, pred: Tensor, pivot: Tensor, branch: int) -> None:
        self.name, self.pred, self.pivot, self.branch = name, pred, pivot, branch
        self._values: set[str] = {pred.name, pivot.name}
        self._external: dict[str, Tensor] = {pred.name: pred, pivot.name: pivot}

    @property
    def loop(self) -> Any:
        """The innermost loop that this branch is in; None outside of loops."""
        return None if self.outer_context is None else self.outer_context.loop

    def __enter__(self) -> "CondContext":
        self._before = get_default_graph()._get_control_flow_context()
        get_default_graph()._set_control_flow_context(self)
        return self

    def __exit__(self, *_: object) -> None:
        get_default_graph()._set_control_flow_context(self._before)

    Enter, Exit = __enter__, __exit__

    def AddName(self, name: str) -> None:  # noqa: N802  # TensorFlow's name
        """Note a tensor as inside."""
        self._values.add(name)

    def AddValue(self, value: Tensor) -> Tensor:  # noqa: N802  # TensorFlow's name
        """The tensor inside that stands for ``value``: itself, or its side of a Switch."""
        if value.name in self._values:
            return self._external.get(value.name, value)
        self._values.add(value.name)
        result = value
        if self.outer_context is not None:
            result = self.outer_context.AddValue(value)
            self._values.add(result.name)
            self._external[result.name] = result
        graph = value.graph
        with graph.control_dependencies(None):
            result = switch_of(result, self.pred)[self.branch]
        graph.prevent_fetching(result.op)
        graph.prevent_feeding(result.op)
        result.op._set_control_flow_context(self)
        context = self
        while context is not None:
            context._values.add(result.name)
            context = context.outer_context
        self._external[value.name] = result
        return result

    def AddOp(self, op: Operation) -> None:  # noqa: N802  # TensorFlow's name
        """Bring a new node inside: its inputs through Switches, or the pivot as what it waits for."""
        if op.inputs:
            edges: list[Any] = [*range(len(op.inputs)), *op.control_inputs]
            for index, tensor in enumerate(list(op.inputs)):
                inside = self.AddValue(tensor)
                if inside is not tensor:
                    op._update_input(index, inside)
                    # TensorFlow fills the gap of an edge taken out with the last one.
                    edges[edges.index(index)] = edges[-1]
                    edges[-1] = index
            op.control_inputs = [e for e in edges if isinstance(e, Operation)]
            self._drop_outside(op)
        else:
            self._drop_outside(op)
            if not any(self._holds(c) for c in op.control_inputs):
                op._add_control_input(self.pivot.op)
        names = [t.name for t in op.outputs]
        context: Any = self
        while context is not None:
            context._values.update(names)
            context = context.outer_context
        op.graph.prevent_fetching(op)

    take = AddOp

    def _drop_outside(self, op: Operation) -> None:
        """Inside a loop nothing waits for what is outside it; branches alone keep such edges."""
        loop = self.outer_context
        while loop is not None and loop.pred is not None:
            loop = loop.outer_context
        if loop is None:
            return
        kept = [c for c in op.control_inputs if self._holds(c)]
        if len(kept) != len(op.control_inputs):
            op.control_inputs = kept

    def _holds(self, op: Operation) -> bool:
        context = op._get_control_flow_context()
        while context is not None and context is not self:
            context = context.outer_context
        return context is self


def switch_of(data: Tensor, pred: Tensor, name: str | None = None) -> list[Tensor]:
    """(false side, true side) of a Switch; of a reference, where it is a variable."""
    graph = data.graph
    with graph.colocate_with(data.op, ignore_existing=True):
        kind = "RefSwitch" if data.dtype.is_ref else "Switch"
        return apply(kind, data, pred, name=name or "Switch")  # type: ignore[no-any-return]
