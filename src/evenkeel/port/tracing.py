"""From a tensor of the graph to the steps that make it: the walk, and what the rules call."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from evenkeel.errors import EvenkeelError
from evenkeel.port.reading import VARIABLES, Reading
from evenkeel.port.steps import Array, Call, Step, Value
from evenkeel.tables import Table
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.values import to_numpy

_SHAPES = frozenset(("Shape", "ShapeN", "Size", "Rank"))
_LOOPS = frozenset(("Exit", "RefExit", "While", "StatelessWhile"))
IMAGES = frozenset(("NHWC", "NDHWC"))


class Unportable(EvenkeelError):
    """A node that cannot be carried to PyTorch; the message names it, its type and its line."""


Rule = Callable[["Tracing", Operation], "Value | None"]
RULES: Table[list[Rule]] = Table("operation that can be ported")


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    """Enter a function as a way to port these types; None from it lets the next one try."""
    return _enter(kinds, len)


def pattern(*kinds: str) -> Callable[[Rule], Rule]:
    """``rule`` for several nodes at once, the last of these types: tried before plain rules."""
    return _enter(kinds, lambda _: 0)


def _enter(kinds: tuple[str, ...], place: Callable[[list[Rule]], int]) -> Callable[[Rule], Rule]:
    def enter(function: Rule) -> Rule:
        for kind in kinds:
            rows = RULES[kind] if kind in RULES else RULES.add(kind)([])
            rows.insert(place(rows), function)
        return function

    return enter


class Tracing:
    """The steps found so far.

    ``reading`` is the graph in inference; ``other`` the same with another batch, so that what differs
    is the batch; ``training`` the graph in training, or None where it has no such mode.
    """

    def __init__(self, reading: Reading, other: Reading, training: Reading | None) -> None:
        self.reading, self.other, self.training = reading, other, training
        self.steps: list[Step] = []
        self.values: dict[Tensor, Value] = {}
        self._is_data: dict[Tensor, bool] = {}
        self.flat: dict[int, Value] = {}  # [N, C] behind a value that only widened it to an image
        self._count = 0

    # ---- what rules ask

    def value(self, tensor: Tensor) -> Value:
        """The module's value for a tensor of the graph."""
        if tensor in self.values:
            return self.values[tensor]
        behind = self.reading.behind(tensor)
        made = self._ported(tensor) if behind is None else self._handed_on(tensor, behind)
        self.values[tensor] = made
        return made

    def is_data(self, tensor: Tensor) -> bool:
        """Whether it depends on what is fed, other than by its shape."""
        found = self.reading.through(tensor)
        if found not in self._is_data:
            self._is_data[found] = False
            self._is_data[found] = (
                found in self.values or self._depends(found) or self._has_batch(found)
            )
        return self._is_data[found]

    def _depends(self, tensor: Tensor) -> bool:
        op = tensor.op
        if tensor in self.reading.fed or op.type in VARIABLES or op.type in _SHAPES:
            return False  # inputs that are data have a value from the start
        return any(self.is_data(t) for t in op.inputs)

    def _has_batch(self, tensor: Tensor) -> bool:
        """Whether it is one number in a shape that follows the batch."""
        return tensor.op.type == "Fill" and -1 in self.shape(tensor)

    def constant(self, tensor: Tensor) -> Array:
        """The value of a tensor that does not depend on the data."""
        return np.asarray(to_numpy(self.reading.of(tensor)))

    def owner(self, tensor: Tensor) -> str:
        """The variable, or the constant of a frozen graph, that it is; empty for anything computed."""
        found = self.reading.through(tensor)
        while found.op.type in ("Reshape", "Squeeze", "ExpandDims"):
            found = self.reading.through(found.op.inputs[0])
        is_one = found.op.type in VARIABLES or found.op.type == "Const"
        return found.op.name if is_one else ""

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        """Its shape, measured on two batches: -1 where they differ."""
        here = self.reading.of(tensor).shape
        there = self.other.of(tensor).shape
        return tuple(a if a == b else -1 for a, b in zip(here, there, strict=True))

    def kind(self, x: Value) -> str:
        """The kind of the step that made a value; empty for an input."""
        return next((s.kind for s in reversed(self.steps) if s.output == x.number), "")

    # ---- what rules do

    def emit(
        self, kind: str, inputs: tuple[Value, ...], output: Value, template: str, **parts: Any
    ) -> Value:
        """Add a step."""
        numbers = tuple(v.number for v in inputs)
        self.steps.append(Step(kind, numbers, output.number, template, **parts))
        return output

    def layer(self, kind: str, x: Value, output: Value, call: Call, **parts: Any) -> Value:
        """Add a step that is one layer's call."""
        return self.emit(kind, (x,), output, "{layer}({0})", call=call, **parts)

    def new(
        self,
        shape: tuple[int, ...],
        axes: tuple[int, ...] | None = None,
        order: tuple[int, ...] | None = None,
    ) -> Value:
        """A value without a maker yet."""
        self._count += 1
        return Value(self._count, shape, axes or tuple(range(len(shape))), order)

    def like(self, x: Value) -> Value:
        """A new value in the layout of ``x``."""
        return self.new(x.shape, x.axes, x.order)

    def plain(self, x: Value) -> Value:
        """``x`` with axes and features as the graph has them."""
        if x.order is not None:
            *image, channels = x.order
            sizes = ", ".join(str(s) for s in (channels, *image))
            back = ", ".join(str(a) for a in (0, *range(2, len(x.order) + 1), 1))
            text = f"{{0}}.unflatten(1, ({sizes})).permute({back}).flatten(1)"
            return self.emit("order", (x,), self.new(x.shape), text)
        if x.is_plain:
            return x
        back = ", ".join(str(x.axes.index(a)) for a in range(len(x.axes)))
        return self.emit("order", (x,), self.new(x.shape), f"{{0}}.permute({back})")

    def channels_first(self, x: Value) -> Value:
        """``x`` with the graph's last axis as axis 1."""
        rank = len(x.shape)
        axes = (0, rank - 1, *range(1, rank - 1))
        if x.axes == axes:
            return x
        x = self.plain(x)
        text = f"{{0}}.permute({', '.join(str(a) for a in axes)})"
        return self.emit("order", (x,), self.new(x.shape, axes), text)

    def check(self, target: Tensor) -> None:
        """That nothing on the way to ``target`` is run more than once.

        Raises:  Unportable
        """
        for tensor in self.reading.origins(target):
            if tensor.op.type in _LOOPS:
                raise self.refuse(
                    tensor.op, "it ends a loop (tf.while_loop, tf.nn.dynamic_rnn, tf.map_fn)"
                )

    def refuse(self, op: Operation, why: str) -> Unportable:
        """The error for a node."""
        return Unportable(
            f"{op.type} cannot be carried to PyTorch: {why}",
            got=f"node {op.name!r} of type {op.type}",
            do="ask for an output before it (--output), or write this part by hand",
            at=op.origin,
        )

    # ---- the walk

    def _ported(self, tensor: Tensor) -> Value:
        op = tensor.op
        if op.type not in RULES:
            raise self.refuse(op, "there is no rule for its type")
        for function in RULES[op.type]:
            made = function(self, op)
            if made is not None:
                self._note(op, made)
                return self._output(tensor, made)
        raise self.refuse(op, "no rule for its type fits its inputs")

    def _output(self, tensor: Tensor, first: Value) -> Value:
        """What a rule made of a node's first output, or of another, which it has then entered."""
        if tensor.index and tensor not in self.values:
            raise self.refuse(tensor.op, f"its output {tensor.index} is used, not its first")
        return self.values.get(tensor, first)

    def _note(self, op: Operation, made: Value) -> None:
        for step in self.steps[::-1]:
            if step.output == made.number:
                step.at = step.at or f"{op.type} {op.name!r} {op.origin}"
                return

    def _handed_on(self, tensor: Tensor, behind: Tensor) -> Value:
        if tensor.op.type == "Merge":
            for function in RULES["Merge"]:
                if (made := function(self, tensor.op)) is not None:
                    return made
        return self.value(behind)


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Networks are deeper than Python's usual limit of calls; the limit is put back."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 50_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
