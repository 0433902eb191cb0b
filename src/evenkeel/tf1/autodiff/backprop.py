"""``tf.gradients``, node for node: from the ys backwards, each node when all that follow are done."""

from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from evenkeel.tf1.autodiff.loops import Loops, is_loop_switch
from evenkeel.tf1.autodiff.reach import Between, is_trainable
from evenkeel.tf1.autodiff.registry import Rule, rule_of
from evenkeel.tf1.autodiff.sums import Sums
from evenkeel.tf1.build import apply, constant, convert, name_scope
from evenkeel.tf1.contexts import entered
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.lower.gradient_record import GradientRecord
from evenkeel.tf1.nodes import IndexedSlices, Operation, Tensor
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
    walk.loops.finish()
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
    floats &= all(x.dtype.name != "resource" for x in xs)
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
        self.sources, self.stopped = [x.op for x in xs], [t.op for t in stopped]
        self.stops: set[Operation] = set()

    def colocated(self, op: Any) -> AbstractContextManager[Any]:
        """Beside the node differentiated, where that was asked for."""
        return self.graph.colocate_with(op) if self.options.colocate else nullcontext()

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
        between = Between([y.op for y in self.ys], self.sources)
        self.loops = Loops(between)
        self.is_standard &= self.loops.all_go_back
        between.count()
        pending = between.pending
        starts = dict.fromkeys(y.op for y in self.ys)
        queue = deque(op for op in starts if not pending.get(op) and op in between.reachable)
        for exit_ in self.loops.unused(pending, set(queue)):
            if is_trainable(exit_):
                self.sums.put(exit_, self.loops.zeros_for_exit(exit_))
                queue.append(exit_.op)
        self.stops = between.stops(self.sources, self.stopped)
        while queue:
            op = queue.popleft()
            with self.colocated(op):
                self._through(op)
            queue.extend(self._ready(op, pending))

    def _ready(self, op: Operation, pending: dict[Operation, int]) -> list[Operation]:
        """What ``op`` was the last to be waited for by; a Switch of a loop comes up each time."""
        found: list[Operation] = []
        for tensor in op.inputs:
            before = tensor.op
            if before not in pending:
                continue
            pending[before] -= 1
            if not pending[before] and before.type in ("Exit", "RefExit"):
                found += self.loops.ready(tensor, self.sums)
            elif not pending[before] or (pending[before] > 0 and is_loop_switch(before)):
                found.append(before)
        return found

    def _through(self, op: Operation) -> None:
        with entered(self.loops.context_before(op)):
            grads = [self.sums.take(t) for t in op.outputs]
        if op in self.stops or all(g is None for g in grads):
            return
        rule, is_own = rule_of(op)
        if rule is None:
            return
        self.is_standard &= not is_own
        with entered(self.loops.context_of(op)):
            for index, tensor in enumerate(op.outputs):
                if grads[index] is None and is_trainable(tensor):
                    grads[index] = self.loops.zeros(op, index)
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


def _known_shape(op: Any, tensor: Tensor, grad: Any) -> None:
    if not isinstance(grad, Tensor) or tensor.dtype.name == "resource":
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
