"""Functions of tensors, as a graph of their own: what ``tf.data`` maps with. Lowered once a session."""

from collections.abc import Callable
from typing import Any

from evenkeel.tf1.build import apply
from evenkeel.tf1.dtypes import DType
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.stacks import get_default_graph

# Stateful types that are run for their effect, also where nothing takes their outputs.
_EFFECTS = ("Assert", "EagerPyFunc", "PrintV2", "PyFunc", "WriteFile")


class FunctionGraph(Graph):
    """A graph whose nodes may take tensors of the graph around it: each becomes an argument."""

    def __init__(self, outer: Graph) -> None:
        super().__init__()
        self.outer, self.seed, self.building_function = outer, outer.seed, True
        self.functions = outer.functions
        self.captures: dict[Tensor, Tensor] = {}  # outside -> the placeholder inside

    def create_op(
        self, kind: str, inputs: list[Tensor], output_dtypes: list[DType], *args: Any, **named: Any
    ) -> Operation:  # fmt: skip
        """Add a node; what it takes from outside is captured first."""
        inside = [self.captured(t) for t in inputs]
        return super().create_op(kind, inside, output_dtypes, *args, **named)

    def captured(self, tensor: Tensor) -> Tensor:
        """The tensor inside that stands for one outside."""
        if tensor.graph is self:
            return tensor
        if tensor not in self.captures:
            stack, self._name_stack = self._name_stack, ""
            with self.control_dependencies(None):
                kind = tensor.dtype.base_dtype
                made = apply("Placeholder", dtype=kind, shape=tensor.shape, name=tensor.op.name)
            self._name_stack = stack
            self.captures[tensor] = made
        return self.captures[tensor]


class Function:
    """What was traced: inputs, outputs, and the tensors from outside that it takes after them."""

    name = "function"

    def __init__(self, graph: FunctionGraph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        self.graph, self.outputs = graph, outputs
        self.inputs = [*inputs, *graph.captures.values()]
        self.captured = list(graph.captures)
        self._effects = [op for op in graph.get_operations() if op.type in _EFFECTS]

    def bound(self, state: Any) -> Callable[..., list[Any]]:
        """The function in a session: of the values of the inputs, then of those captured."""
        from evenkeel.tf1.lower import lower

        if self not in state.op_state:
            fetched = [*self.outputs, *self._effects]
            state.op_state[self] = lower(self.graph, fetched, self.inputs, state)
        program, count = state.op_state[self], len(self.outputs)
        return lambda *values: program(*values)[:count]


def trace(build: Callable[..., list[Tensor]], specs: list[Any]) -> Function:
    """``build`` as a function of tensors of these specs (each has ``dtype`` and ``shape``)."""
    graph = FunctionGraph(get_default_graph())
    with graph.as_default():
        args = [
            apply("Placeholder", dtype=spec.dtype, shape=spec.shape, name=f"args_{i}")
            for i, spec in enumerate(specs)
        ]
        outputs = [graph.captured(t) for t in build(*args)]
    return Function(graph, args, outputs)
