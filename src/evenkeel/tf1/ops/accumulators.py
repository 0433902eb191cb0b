"""Stacks: what a loop puts on in every turn, for the loop of its gradient to take off."""

from typing import Any

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.rules import unknown
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape


class Stack:
    """Values, the last on top; one a run."""

    def __init__(self) -> None:
        self.values: list[Any] = []


@op("StackV2", stateful=True, shape=lambda _node: [TensorShape([2])])
def stack(max_size: Any) -> Stack:
    """An empty stack; it takes what comes, whatever ``max_size`` says."""
    return Stack()


@op("StackPushV2", stateful=True, shape=lambda node: [node.inputs[1].shape])
def push(handle: Stack, elem: Any) -> Any:
    """The value, now on top."""
    handle.values.append(elem)
    return elem


@op("StackPopV2", stateful=True, shape=unknown)
def pop(handle: Stack, *, op: Any) -> Any:
    """The value on top, taken off."""
    if not handle.values:
        raise errors.InvalidArgumentError(None, op, "Stack is empty when calling Pop()")
    return handle.values.pop()


@op("StackCloseV2", stateful=True)
def close(handle: Stack) -> None:
    """Forget what is on it."""
    handle.values.clear()
