"""``tf.nn.batch_normalization``, with or without ``tf.nn.moments`` before it: one kernel.

What the functions build: ``x · inverse + (offset − mean · inverse)`` with ``inverse = rsqrt(variance +
epsilon) · scale``; the moments are the means of x and of its squared differences from that mean. The
kernel gives y and the moments; the nodes that take the moments (moving averages) see the same ones.
"""

from dataclasses import dataclass, replace
from typing import Any

from evenkeel import autograd
from evenkeel.tf1.fold import folded
from evenkeel.tf1.lower.peepholes.activation import passes_on, taken_in
from evenkeel.tf1.lower.peepholes.overwriting import may_overwrite
from evenkeel.tf1.lower.rewrites import free, peephole
from evenkeel.tf1.lower.steps import Plan, Step, alias, fused
from evenkeel.tf1.nodes import Operation, Tensor

_ADDS = ("Add", "AddV2")


@dataclass(frozen=True)
class _Norm:
    """The parts of one batch normalization; ``ops`` are its nodes, the last one makes y."""

    ops: tuple[Operation, ...]
    x: Tensor
    mean: Tensor
    variance: Tensor
    scale: Tensor | None
    offset: Tensor | None
    eps: Tensor  # a constant; it may be the node that waits for what all of them wait for


@peephole
def composed_batch_norm(plan: Plan) -> None:
    """Put kernels in the place of what was composed."""
    differentiates = [s for s in plan.steps if s.name == "autograd"]
    for step in list(plan.steps):
        norm = _norm(step.op) if _is_plain(plan, step.op, _ADDS) else None
        if norm is None or not _is_usual(norm):
            continue
        moments = _moments(plan, norm)
        covers = {*norm.ops, *(moments.ops if moments else ())}
        y = norm.ops[-1].outputs[0]
        outputs = [y, *(moments.results if moments else ())]
        looks = differentiates and _reached(plan, norm, moments, covers, differentiates)
        vectors = [v for v in (norm.scale, norm.offset) if v is not None and v not in plan.fed]
        looks = looks or any(_needs(plan, v.op, covers) for v in vectors)  # as renorm's do
        if not looks and free(plan, covers, outputs):
            activation = taken_in(plan, y)
            if moments:
                _train(plan, norm, moments, activation)
            else:
                plan.replace(_normalize(plan, norm, activation))


def _is_plain(plan: Plan, op: Operation, kinds: tuple[str, ...]) -> bool:
    return op.type in kinds and op in plan.step_of and plan.step_of[op].is_plain


def _norm(total: Operation) -> _Norm | None:
    """The parts behind the last Add, if it is one of ``batch_normalization``'s."""
    scaled, moved = (t.op for t in total.inputs)
    if scaled.type != "Mul":
        return None
    x, inverse = scaled.inputs
    ops, offset = [scaled, moved, total], None
    if moved.type == "Sub" and moved.inputs[1].op.type == "Mul":
        offset, shift = moved.inputs[0], moved.inputs[1].op
        mean, again = shift.inputs
        ops.insert(0, shift)
    elif moved.type == "Mul" and moved.inputs[0].op.type == "Neg":
        mean, again = moved.inputs[0].op.inputs[0], moved.inputs[1]
        ops.insert(0, moved.inputs[0].op)
    else:
        return None
    found = _inverse(inverse) if again is inverse else None
    if found is None:
        return None
    variance, eps, scale, inner = found
    return _Norm((*inner, *ops), x, mean, variance, scale, offset, eps)


def _inverse(
    inverse: Tensor,
) -> tuple[Tensor, Tensor, Tensor | None, tuple[Operation, ...]] | None:
    """Variance, epsilon and scale of ``rsqrt(variance + epsilon) · scale``, and its nodes."""
    op, scale, ops = inverse.op, None, [inverse.op]
    if op.type == "Mul" and op.inputs[0].op.type == "Rsqrt":
        op, scale = op.inputs[0].op, op.inputs[1]
        ops.insert(0, op)
    if op.type != "Rsqrt" or op.inputs[0].op.type not in _ADDS:
        return None
    total = op.inputs[0].op
    eps = folded(total.inputs[1])
    if eps is None or eps.ndim:
        return None
    return total.inputs[0], total.inputs[1], scale, (total, *ops)


def _is_usual(norm: _Norm) -> bool:
    """Channels on the last axis, one value of each vector for every channel."""
    rank = norm.x.shape.ndims
    if norm.x.dtype.base_dtype.name not in ("float32", "float64") or rank is None or rank < 2:
        return False
    channels = norm.x.shape.sizes[-1]
    if channels is None:
        return False
    vectors = [v for v in (norm.scale, norm.offset) if v is not None]
    return all(v.shape.sizes == (channels,) for v in vectors if v.shape.ndims is not None) and all(
        v.shape.num_elements() == channels for v in (norm.mean, norm.variance, *vectors)
    )


@dataclass(frozen=True)
class _Moments:
    """The nodes of ``tf.nn.moments``; ``results`` are the mean and the variance as they make them.

    ``waits`` are what the nodes between them and the normalization wait for: updates of averages.
    """

    ops: tuple[Operation, ...]
    results: tuple[Tensor, Tensor]
    waits: tuple[Operation, ...]


def _moments(plan: Plan, norm: _Norm) -> _Moments | None:
    """The moments of x over all axes but the last, if those are what normalizes it."""
    (mean, before), (variance, also) = (_source(plan, t) for t in (norm.mean, norm.variance))
    if not all(_is_plain(plan, t.op, ("Mean",)) for t in (mean, variance)):
        return None
    squares = variance.op.inputs[0].op
    if mean.op.inputs[0] is not norm.x or squares.type != "SquaredDifference":
        return None
    x, about = squares.inputs
    stopped = about.op
    if x is not norm.x or stopped.type != "StopGradient" or stopped.inputs[0] is not mean:
        return None
    if not all(_reduces_all_but_last(t.op, norm.x.shape.ndims) for t in (mean, variance)):
        return None
    ops = (mean.op, stopped, squares, variance.op)
    return _Moments(ops, (mean, variance), (*before, *also))


def _reduces_all_but_last(op: Operation, rank: Any) -> bool:
    axes = folded(op.inputs[1])
    return axes is not None and sorted(a % rank for a in axes.reshape(-1)) == [*range(rank - 1)]


def _source(plan: Plan, tensor: Tensor) -> tuple[Tensor, list[Operation]]:
    """Where a value comes from, through nodes that pass it on, and what those wait for."""
    waits: list[Operation] = []
    while tensor not in plan.fed:
        step = plan.step_of.get(tensor.op)
        squeezes = step is not None and step.is_plain and step.op.type == "Squeeze"
        if step is None or not (squeezes or passes_on(step)):
            break
        waits += step.controls
        tensor = step.inputs[0]
    return tensor, waits


def _train(plan: Plan, norm: _Norm, moments: _Moments, activation: str | None) -> None:
    """Two steps: the kernel, and y by its name, which waits for what takes the moments."""
    last, inner = norm.ops[-1], norm.ops[-2]
    whole = fused(
        (*moments.ops, *norm.ops[:-1]),
        [t for t in (norm.x, norm.scale, norm.offset) if t is not None],
        (inner.outputs[0], *moments.results),
        _training(norm, [t.shape.sizes for t in moments.results], activation),
        "batch_norm",
    )
    waits = dict.fromkeys([*whole.controls, *norm.eps.op.control_inputs, *moments.waits])
    later = [op for op in waits if _needs(plan, op, set(whole.covers))]
    kept = tuple(c for c in waits if c not in later)
    named = alias(last, inner.outputs[0])
    plan.replace(replace(whole, controls=kept))
    plan.replace(replace(named, controls=(*later, *named.controls)))


def _needs(plan: Plan, op: Operation, sought: set[Operation]) -> bool:
    todo, seen = [plan.step_of[op]], set()
    while todo:
        step = todo.pop()
        if not sought.isdisjoint(step.covers):
            return True
        if step not in seen:
            seen.add(step)
            todo += plan.predecessors(step)
    return False


def _normalize(plan: Plan, norm: _Norm, activation: str | None) -> Step:
    vectors = [t for t in (norm.scale, norm.offset) if t is not None]
    inputs = (norm.x, norm.mean, norm.variance, *vectors)
    over = may_overwrite(plan, norm.x, norm.ops[-1]._control_flow_context)
    run = _normalizing(norm, activation, over)
    step = fused(norm.ops, inputs, norm.ops[-1].outputs, run, "batch_norm")
    return replace(step, controls=(*step.controls, *norm.eps.op.control_inputs))


def _reached(
    plan: Plan, norm: _Norm, moments: _Moments | None, covers: set[Operation],
    differentiates: list[Step],
) -> bool:  # fmt: skip
    """Whether a gradient flows through the statistics past y: the kernels give none there."""
    if moments is None:  # by given statistics: what they are made of must not be differentiated
        wanted = {x for s in differentiates for x in s.inputs}
        return any(_comes_from(plan, t, wanted) for t in (norm.mean, norm.variance))
    todo = [t for s in differentiates for t in s.inputs if t not in plan.fed]
    seen: set[Step] = set()
    while todo:
        tensor = todo.pop()
        step = plan.step_of[tensor.op]
        if tensor in moments.results:
            return True
        if step in seen or not covers.isdisjoint(step.covers):
            continue
        seen.add(step)
        todo += [t for t in step.inputs if t not in plan.fed]
    return False


def _comes_from(plan: Plan, tensor: Tensor, wanted: set[Tensor]) -> bool:
    todo, seen = [tensor], set()
    while todo:
        tensor = todo.pop()
        if tensor in wanted:
            return True
        if tensor not in seen and tensor not in plan.fed:
            seen.add(tensor)
            todo += plan.step_of[tensor.op].inputs
    return False


def _training(norm: _Norm, shapes: list[Any], activation: str | None) -> Any:
    eps, has_scale, has_offset = (
        float(folded(norm.eps)),
        norm.scale is not None,
        norm.offset is not None,
    )
    axes = (len(norm.x.shape) - 1,)

    def batch_norm(x: Any, *vectors: Any) -> Any:
        scale, offset = _vectors(vectors, has_scale, has_offset)
        y, mean, var = autograd.train(x, scale, offset, eps, axes, activation=activation)
        return y, mean.view(shapes[0]), var.view(shapes[1])

    return _named(batch_norm)


def _normalizing(norm: _Norm, activation: str | None, over: bool) -> Any:
    eps, has_scale, has_offset = (
        float(folded(norm.eps)),
        norm.scale is not None,
        norm.offset is not None,
    )
    axes = (len(norm.x.shape) - 1,)

    def batch_norm(x: Any, mean: Any, var: Any, *vectors: Any) -> Any:
        scale, offset = _vectors(vectors, has_scale, has_offset)
        given = mean.reshape(-1), var.reshape(-1), scale, offset, eps, axes, None, activation
        return (autograd.normalize_into(x, x, *given) if over else autograd.normalize(x, *given),)

    return _named(batch_norm)


def _vectors(given: tuple[Any, ...], has_scale: bool, has_offset: bool) -> tuple[Any, Any]:
    rest = iter(given)
    return next(rest) if has_scale else None, next(rest) if has_offset else None


def _named(run: Any) -> Any:
    run.__module__, run.__qualname__ = "evenkeel.tf1.ops", run.__name__
    return run
