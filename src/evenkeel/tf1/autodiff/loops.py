"""Loops on the way of gradients: a ``tf.while_loop`` is one node, whose gradient is one node.

TensorFlow builds a second loop that runs backwards. Here the node is a SymbolicGradient, which torch's
autograd replaces with the whole ``tf.gradients`` call: the numbers are TensorFlow's, the nodes are not,
and nothing inside of such a call can be fetched.
"""

from typing import Any

from evenkeel.tf1.autodiff.reach import is_trainable
from evenkeel.tf1.build import apply
from evenkeel.tf1.loop_context import WhileContext
from evenkeel.tf1.nodes import Operation


class LoopNode:
    """A loop as one operation: what enters it from outside, and its exits."""

    def __init__(self, context: WhileContext) -> None:
        self.outputs = list(context.exits)
        graph = self.outputs[0].graph
        entered = [
            op.inputs[0]
            for op in graph.get_operations()
            if op.type in ("Enter", "RefEnter") and outermost(op) is context
            and op._get_control_flow_context() is context
        ]  # fmt: skip
        self.inputs = list(dict.fromkeys(entered))
        self.name, self.type = self.outputs[0].op.name, "while"
        self.node_def = self.outputs[0].op.node_def

    def gradient(self, grads: list[Any]) -> list[Any]:
        """The gradients of what enters the loop, None where there is none."""
        given = [g for g in grads if g is not None]
        wanted = [t for t in self.inputs if is_trainable(t)]
        types = [t.dtype.base_dtype for t in wanted]
        made = apply("SymbolicGradient", [*self.inputs, *given], Tout=types, f=self.name)
        found = iter(made if isinstance(made, list | tuple) else [made])
        return [next(found) if is_trainable(t) else None for t in self.inputs]


def outermost(op: Operation) -> WhileContext | None:
    """The outermost loop that a node is in."""
    context, found = op._get_control_flow_context(), None
    while context is not None:
        found = context if isinstance(context, WhileContext) else found
        context = context.outer_context
    return found


class Loops:
    """The node that stands for an operation: itself, or the loop around it."""

    def __init__(self) -> None:
        self._nodes: dict[WhileContext, LoopNode] = {}

    def owner(self, op: Operation) -> Any:
        """The node to walk over."""
        context = outermost(op)
        if context is None:
            return op
        if context not in self._nodes:
            self._nodes[context] = LoopNode(context)
        return self._nodes[context]
