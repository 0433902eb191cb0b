"""The context of a ``tf.while_loop``: what comes in from outside enters once, as a constant.

In the loop of a gradient, what comes in from the forward loop is what that had in the same turn.
"""

from typing import Any

from evenkeel.tf1.build import apply
from evenkeel.tf1.contexts import entered
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.stacks import get_default_graph

SIZES = ("Shape", "Size", "Rank")  # nodes that gradients ask about forward values


class WhileContext:
    """One loop: its frame, the pivots that its nodes wait for, its variables.

    ``grad_state`` is what connects the loop of a gradient with the loop that it goes back through.
    """

    pred = None  # a loop has no predicate from outside, unlike a branch

    def __init__(
        self,
        name: str,
        parallel_iterations: int,
        back_prop: bool = True,
        swap_memory: bool = False,
        grad_state: Any = None,
    ) -> None:
        graph = get_default_graph()
        self._begin(graph.unique_name(name), parallel_iterations)
        self.back_prop, self.swap_memory, self.grad_state = back_prop, swap_memory, grad_state
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
        self.back_prop, self.swap_memory, self.grad_state = True, False, None
        self.maximum_iterations: Tensor | None = None
        self.pivot_for_pred: Tensor | None = None
        self.pivot_for_body: Tensor | None = None
        self.pivot: Any = None  # the LoopCond
        self.enters: list[Tensor] = []
        self.exits: list[Tensor] = []
        self._values: set[str] = set()
        self._external: dict[str, Tensor] = {}

    @property
    def loop(self) -> "WhileContext":
        """The innermost loop that a node of this context is in."""
        return self

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
        waits = graph._controls_for({value.op})
        made.op._add_control_inputs([op for op in waits if self._surrounds(op)])
        made.set_shape(value.shape)
        self._values.add(made.name)
        return made

    def _surrounds(self, op: Operation) -> bool:
        """Whether an operation is right outside of this loop, in its branch or around that."""
        inside, context = output_context(op), self.outer_context
        limit = None if context is None else context.loop
        while context is not inside:
            if context is None or context is limit:
                return False
            context = context.outer_context
        return True

    def AddName(self, name: str) -> None:  # noqa: N802  # TensorFlow's name
        """Note a tensor as inside."""
        self._values.add(name)

    def AddValue(self, value: Tensor) -> Tensor:  # noqa: N802  # TensorFlow's name
        """The tensor inside that stands for ``value``."""
        if value.name in self._values or value.op._get_control_flow_context() is self:
            return self._external.get(value.name, value)
        self._values.add(value.name)
        state = current_state(value.graph)
        if state is not None and loop_around(value.op) is state.forward:
            self._external[value.name] = state.value_of(value)
            return self._external[value.name]
        outside = value if self.outer_context is None else self.outer_context.AddValue(value)
        self._external[value.name] = self.enter(outside, constant=True)
        return self._external[value.name]

    def AddOp(self, op: Operation) -> None:  # noqa: N802  # TensorFlow's name
        """Bring a new node inside; sizes of forward values stay where those are."""
        state = current_state(op.graph)
        if op.type in SIZES and state is not None:
            inside = op.inputs[0].op
            if loop_of(inside) is state.forward:
                op._set_control_flow_context(inside._get_control_flow_context())
                inside._get_control_flow_context().take(op)
                return
        self.take(op)

    def take(self, op: Operation) -> None:
        """Bring a node inside; one that depends on no loop variable waits for the pivot."""
        for index, tensor in enumerate(list(op.inputs)):
            inside = self.AddValue(tensor)
            if inside is not tensor:
                op._update_input(index, inside)
        external = [c for c in op.control_inputs if loop_around(c) is not self]
        op.control_inputs = [c for c in op.control_inputs if c not in external]
        constant = all(is_constant_enter(t.op) for t in op.inputs)
        pivot = self.pivot_for_body if self.pivot_for_body is not None else self.pivot_for_pred
        if constant and not op.control_inputs and pivot is not None:
            op._add_control_input(pivot.op)
        context: Any = self
        while context is not None:
            context._values.update(t.name for t in op.outputs)
            context = context.outer_context
        self._wait_outside(op, [c for c in external if c.outputs])
        if self.outer_context is not None or op.type != "Exit":
            op.graph.prevent_fetching(op)

    def _wait_outside(self, op: Operation, waits: list[Operation]) -> None:
        """A value of what is outside comes in, for the node to wait for."""
        if waits:
            with op.graph.control_dependencies(None), entered(self):
                op._add_control_inputs([apply("Identity", c.outputs[0]).op for c in waits])


def is_constant_enter(op: Operation) -> bool:
    """Whether this brings a value into every turn of a loop."""
    return op.type in ("Enter", "RefEnter") and bool(op.attrs["is_constant"])


def output_context(op: Operation) -> Any:
    """The context of what a node gives: an Exit's is around the loop."""
    context = op._get_control_flow_context()
    return (
        context.outer_context if context is not None and op.type in ("Exit", "RefExit") else context
    )


def loop_of(op: Operation) -> WhileContext | None:
    """The innermost loop that a node is in."""
    context = op._get_control_flow_context()
    return None if context is None else context.loop


def loop_around(op: Operation) -> WhileContext | None:
    """The innermost loop that what a node gives is in."""
    context = output_context(op)
    return None if context is None else context.loop


def current_state(graph: Any) -> Any:
    """What connects the gradient's loop under construction with its forward loop, if one is."""
    context = graph._get_control_flow_context()
    loop = None if context is None else context.loop
    return None if loop is None else loop.grad_state
