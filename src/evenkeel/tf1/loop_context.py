"""The context of a ``tf.while_loop``: what comes in from outside enters once, as a constant."""

from typing import Any

from evenkeel.tf1.build import apply
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.stacks import get_default_graph


class WhileContext:
    """One loop: its frame, the pivots that its nodes wait for, its variables."""

    pred = None  # a loop has no predicate from outside, unlike a branch

    def __init__(self, name: str, parallel_iterations: int) -> None:
        graph = get_default_graph()
        self._begin(graph.unique_name(name), parallel_iterations)
        self.outer_context: Any = graph._get_control_flow_context()

    @classmethod
    def restored(cls, name: str, parallel_iterations: int, outer: Any) -> "WhileContext":
        """The context of a loop that came with a graph: its nodes are there already."""
        made = cls.__new__(cls)
        made._begin(name, parallel_iterations)
        made.outer_context = outer
        return made

    def _begin(self, name: str, parallel_iterations: int) -> None:
        self.name, self.parallel_iterations = name, parallel_iterations
        self.pivot_for_pred: Tensor | None = None
        self.pivot_for_body: Tensor | None = None
        self.pivot: Tensor | None = None  # the LoopCond
        self.merges: list[Tensor] = []
        self.switches: list[Operation] = []
        self.exits: list[Tensor] = []
        self._values: set[str] = set()
        self._external: dict[str, Tensor] = {}

    def enter(self, value: Tensor, constant: bool) -> Tensor:
        """An Enter node of an outside tensor, inside this loop."""
        graph = value.graph
        with graph.control_dependencies(None):
            attrs = {"frame_name": self.name, "is_constant": constant}
            count = self.parallel_iterations
            made: Tensor = apply("Enter", value, parallel_iterations=count, name="Enter", **attrs)
        graph.prevent_feeding(made)
        graph.prevent_fetching(made.op)
        made.op._set_control_flow_context(self)
        made.set_shape(value.shape)
        self._values.add(made.name)
        return made

    def AddName(self, name: str) -> None:  # noqa: N802  # TensorFlow's name
        """Note a tensor as inside."""
        self._values.add(name)

    def AddValue(self, value: Tensor) -> Tensor:  # noqa: N802  # TensorFlow's name
        """The tensor inside that stands for ``value``."""
        if value.name in self._values:
            return self._external.get(value.name, value)
        self._values.add(value.name)
        outside = value if self.outer_context is None else self.outer_context.AddValue(value)
        self._external[value.name] = self.enter(outside, constant=True)
        return self._external[value.name]

    def AddOp(self, op: Operation) -> None:  # noqa: N802  # TensorFlow's name
        """Bring a new node inside; one that depends on no loop variable waits for the pivot."""
        for index, tensor in enumerate(list(op.inputs)):
            inside = self.AddValue(tensor)
            if inside is not tensor:
                op._update_input(index, inside)
        op.control_inputs = [c for c in op.control_inputs if self._holds(c)]
        constant = all(_is_constant_enter(t.op) for t in op.inputs)
        pivot = self.pivot_for_body if self.pivot_for_body is not None else self.pivot_for_pred
        if constant and not op.control_inputs and pivot is not None:
            op._add_control_input(pivot.op)
        context: Any = self
        while context is not None:
            context._values.update(t.name for t in op.outputs)
            context = context.outer_context
        if self.outer_context is not None or op.type != "Exit":
            op.graph.prevent_fetching(op)

    def _holds(self, op: Operation) -> bool:
        context = op._get_control_flow_context()
        while context is not None and context is not self:
            context = context.outer_context
        return context is self


def _is_constant_enter(op: Operation) -> bool:
    return op.type == "Enter" and bool(op.attrs["is_constant"])
