"""``tf.gradients``, node for node: from the ys backwards, each node when all that follow are done."""

from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from evenkeel.tf1.autodiff.loops import LoopNode, Loops
from evenkeel.tf1.autodiff.reach import Between, is_trainable
from evenkeel.tf1.autodiff.registry import Rule, rule_of
from evenkeel.tf1.autodiff.sums import Sums
from evenkeel.tf1.autodiff.zeros import zeros_of
from evenkeel.tf1.build import apply, constant, convert, name_scope
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.lower.gradient_record import GradientRecord
from evenkeel.tf1.nodes import IndexedSlices, Tensor
from evenkeel.tf1.stacks import get_default_graph


@dataclass(frozen=True)
class Options:
    """What the caller asked for."""

    colocate: bool = False
    gate: bool = False
    zeros: bool = False  # zeros, not None, for an x that no y depends on


def listed(value: Any) -> list[Any]:
    """One value or several, as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def gradients_of(
    ys: Any, xs: Any, grad_ys: Any, name: str | None, stopped: Any, options: Options
) -> list[Any]:
    """The sum of the derivatives of the ys by each x; None where there is none."""
    targets, sources, stops = listed(ys), listed(xs), listed(stopped or [])
    seeds = [None] * len(targets) if grad_ys is None else listed(grad_ys)
    graph = get_default_graph()
    made_before = len(graph.operations)
    inputs = [*targets, *sources, *stops, *(g for g in seeds if g is not None)]
    with name_scope(name, "gradients", inputs):
        graph.unique_name("uid")
        top = [_as_tensor(y, f"y_{i}") for i, y in enumerate(targets)]
        bottom = [_as_tensor(x, f"x_{i}", True) for i, x in enumerate(sources)]
        held = [_as_tensor(s, f"stop_{i}", True) for i, s in enumerate(stops)]
        walk = _Walk(graph, top, bottom, held, options)
        given = walk.seed(seeds)
        walk.run()
        results = [walk.result(x) for x in bottom]
    if walk.is_standard and not held:
        _record(graph, made_before, top, bottom, given, results)
    return results


def _as_tensor(value: Any, name: str, as_ref: bool = False) -> Any:
    if isinstance(value, IndexedSlices):
        return value
    return convert(value, name=name, as_ref=as_ref)


def _record(
    graph: Graph, start: int, ys: list[Any], xs: list[Any], given: list[Any], results: list[Any]
) -> None:
    """Note the call as a whole, for the lowering to put torch's autograd in its place."""
    own = {g.op for g in given if g is not None}  # what the caller's values became stays outside
    made = frozenset(op for op in list(graph.operations.values())[start:] if op not in own)
    kept = [(x, r) for x, r in zip(xs, results, strict=True) if r is not None]
    plain = all(isinstance(r, Tensor) and r.op in made for _, r in kept)
    floats = all(isinstance(y, Tensor) and y.dtype.is_floating for y in ys)
    if not kept or not plain or not floats or graph._get_control_flow_context() is not None:
        return
    sources, outputs = zip(*kept, strict=True)
    graph.gradient_records.append(GradientRecord(tuple(ys), sources, tuple(given), outputs, made))


class _Walk:
    """One call under way."""

    def __init__(
        self,
        graph: Graph,
        ys: list[Any],
        xs: list[Any],
        stopped: list[Any],
        options: Options,
    ) -> None:
        self.graph, self.ys, self.options = graph, ys, options
        self.sums = Sums()
        self.is_standard = True
        self.owner = Loops().owner
        sources = [self.owner(x.op) for x in xs]
        self.between = Between([self.owner(y.op) for y in ys], sources, self.owner)
        self.stops = self.between.stops(sources, [t.op for t in stopped])

    def colocated(self, op: Any) -> AbstractContextManager[Any]:
        """Beside the node differentiated, where that was asked for."""
        beside = self.options.colocate and not isinstance(op, LoopNode)
        return self.graph.colocate_with(op) if beside else nullcontext()

    # ---- where it starts

    def seed(self, grad_ys: list[Any]) -> list[Any]:
        """Enter the gradients of the ys; those that the caller gave, as tensors."""
        if len(grad_ys) != len(self.ys):
            raise ValueError(f"Passed {len(grad_ys)} grad_ys for {len(self.ys)} ys")
        given: list[Any] = []
        for index, (y, grad) in enumerate(zip(self.ys, grad_ys, strict=True)):
            with self.colocated(y.op):
                tensor = None if grad is None else self._given(y, grad, index)
                given.append(tensor)
                self.sums.put(y, self._first(y, tensor, index))
        return given

    def _given(self, y: Tensor, grad: Any, index: int) -> Any:
        if isinstance(grad, IndexedSlices):
            self.is_standard = False
            return grad
        tensor = convert(grad, y.dtype.base_dtype, name=f"grad_ys_{index}")
        if y.dtype.is_floating and not tensor.dtype.is_floating:
            raise TypeError(f"Gradient type {tensor.dtype.name} generated for real-valued {y}")
        return tensor

    def _first(self, y: Any, grad: Any, index: int) -> Any:
        from evenkeel.tf1.api.arrays import shape
        from evenkeel.tf1.control_ops import identity_of

        if grad is not None:
            return identity_of(grad, f"grad_ys_{index}")
        if y.dtype.is_complex:
            raise TypeError(
                f"Gradients of complex tensors must set grad_ys (y.dtype = {y.dtype!r})"
            )
        sizes = shape(y)
        one = constant(1, y.dtype.base_dtype, name=f"grad_ys_{index}")
        return apply("Fill", sizes, one)

    # ---- the way back

    def run(self) -> None:
        """Node after node, as each has all its gradients."""
        queue: deque[Any] = deque()
        pending = self.between.pending
        for op in dict.fromkeys(self.owner(y.op) for y in self.ys):
            if not pending.get(op) and op in self.between.reachable:
                queue.append(op)
        while queue:
            op = queue.popleft()
            with self.colocated(op):
                self._through(op)
            for tensor in op.inputs:
                maker = self.owner(tensor.op)
                if maker in pending:
                    pending[maker] -= 1
                    if not pending[maker]:
                        queue.append(maker)

    def _through(self, op: Any) -> None:
        grads = [self.sums.take(t) for t in op.outputs]
        if op in self.stops or all(g is None for g in grads):
            return
        rule, is_own = (_through_loop, False) if isinstance(op, LoopNode) else rule_of(op)
        if rule is None:
            return
        self.is_standard &= not is_own
        for index, tensor in enumerate(op.outputs):
            if grads[index] is None and is_trainable(tensor):
                grads[index] = zeros_of(op, index)
        for tensor, grad in zip(op.inputs, self._applied(op, rule, grads), strict=True):
            if grad is not None:
                _known_shape(op, tensor, grad)
                self.sums.put(tensor, grad)

    def _applied(self, op: Any, rule: Rule, grads: list[Any]) -> list[Any]:
        with self.graph.name_scope(f"{op.name}_grad"):
            found = rule(op, *grads)
            flat = list(found) if isinstance(found, list | tuple) else [found]
            if len(flat) != len(op.inputs):
                raise ValueError(
                    f"Num gradients {len(flat)} generated for op {op.node_def} do not match num "
                    f"inputs {len(op.inputs)}"
                )
            if self.options.gate and sum(g is not None for g in flat) > 1:
                from evenkeel.tf1.api.control import tuple as gated

                with self.graph.colocate_with(None, ignore_existing=True):
                    flat = list(gated(flat))
        return flat

    def result(self, x: Any) -> Any:
        """What arrived at ``x``."""
        found = self.sums.take(x)
        if found is None and self.options.zeros:
            from evenkeel.tf1.api.constants import zeros_like

            return zeros_like(x)
        return found


def _through_loop(loop: LoopNode, *grads: Any) -> list[Any]:
    return loop.gradient(list(grads))


def _known_shape(op: Any, tensor: Tensor, grad: Any) -> None:
    if not isinstance(grad, Tensor):
        return
    try:
        grad.set_shape(tensor.shape)
    except ValueError:
        index = op.inputs.index(tensor)
        raise ValueError(
            "Incompatible shapes between op input and calculated input gradient.  Forward "
            f"operation: {op.name}.  Input index: {index}. Original input shape: {tensor.shape}.  "
            f"Calculated input gradient shape: {grad.shape}"
        ) from None
