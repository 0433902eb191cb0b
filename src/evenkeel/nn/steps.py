"""What a layer does with one batch, as functions of its spec and tensors; layers only hold those."""

import warnings
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from evenkeel.autograd import (
    Moved,
    normalize_planned,
    plan_given,
    plan_moving,
    train_moving,
)
from evenkeel.errors import BadOption, BadShape, NonFiniteBatch, OneValuePerChannel
from evenkeel.functional import batch_normalization, weighted_moments
from evenkeel.functional.normalization import check_several, normalize_by, normalize_by_batch
from evenkeel.functional.statistics import Moments
from evenkeel.kernels import Call
from evenkeel.kernels.activations import finish
from evenkeel.kernels.plan import Plan
from evenkeel.kernels.table import mode_of, unwatched
from evenkeel.nn.running import Ema, RunningState, commit
from evenkeel.nn.spec import Spec
from evenkeel.views import check_like, check_not_empty

Vectors = tuple[Tensor | None, Tensor | None]


# What calls keep in a layer of what they learnt about their input, and of the step that they are
# part of; no part of its state.
LEARNT = (
    *("_known", "_known_inference", "_known_sync", "_met"),
    *("_step_count", "_step_mean", "_step_m2"),
)


def without_learnt(attributes: dict[str, Any]) -> dict[str, Any]:
    """A layer's attributes less those, with the rule that lasts."""
    kept = {name: value for name, value in attributes.items() if name not in LEARNT}
    spec = kept.get("spec")  # torch's layers have none
    return {**kept, "spec": spec.lasting} if isinstance(spec, Spec) else kept


def infer(
    spec: Spec,
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    learnt: dict[str, Any],
) -> Tensor:
    """Normalize by running statistics."""
    if not torch.compiler.is_compiling():
        known = learnt.get("_known_inference")
        if known is None or not known.covers(spec, x):
            spec.check_input(x)
            plan = plan_given(Call.of(x, spec.axes(x.ndim)), mean, spec.eps, spec.activation)
            known = None if plan is None else Known.of(spec, x, plan)
            learnt["_known_inference"] = known
        if known is not None:
            if residual is not None:
                check_like(residual, x, "residual")
            y = normalize_planned(known.plan, x, mean, var, weight, bias, residual)
            if y is not None:
                return y
    spec.check_input(x)
    return by_statistics(spec, x, mean, var, (weight, bias), residual)


def by_statistics(
    spec: Spec, x: Tensor, mean: Tensor, var: Tensor, vectors: Vectors, residual: Tensor | None
) -> Tensor:
    """Normalize by statistics that are constants to autograd."""
    return normalize_by(
        x,
        mean,
        var,
        *vectors,
        eps=spec.eps,
        channel_axis=spec.channel_axis,
        activation=spec.activation,
        residual=residual,
    )


def by_batch(
    spec: Spec, x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None
) -> tuple[Tensor, Moments]:
    """Normalize by the batch's statistics; also those. More than one value per channel."""
    check_several(x, spec.channel_axis)
    return normalize_by_batch(
        x,
        weight,
        bias,
        eps=spec.eps,
        channel_axis=spec.channel_axis,
        activation=spec.activation,
        residual=residual,
    )


class Known(NamedTuple):
    """A kind of input that a layer has taken in one call, and how."""

    spec: Spec
    shape: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype
    plan: Plan
    momentum: float

    @classmethod
    def of(cls, spec: Spec, x: Tensor, plan: Plan) -> "Known":
        """What is known of inputs like ``x``."""
        return cls(spec, x.shape, x.stride(), x.dtype, plan, float(spec.running.momentum or 0))

    def covers(self, spec: Spec, x: Tensor) -> bool:
        """Whether the plan is right for ``x``: nothing about it needs to be checked again."""
        return (
            isinstance(x, Tensor)
            and self.shape == x.shape
            and self.stride == x.stride()
            and self.dtype is x.dtype
            and self.spec is spec
            and x.is_cpu
            and unwatched()
            and not mode_of(x)
        )


def known_of(spec: Spec, x: Tensor, mean: Tensor) -> Known | None:
    """How to train on ``x`` in one call; None where no kernel can.

    Raises:  what the layer raises for input that it cannot take
    """
    spec.check_input(x)
    check_several(x, spec.channel_axis)
    check_not_empty(x, spec.axes(x.ndim))
    if type(spec.running) is not Ema:
        return None
    call = Call.of(x, spec.axes(x.ndim))
    plan = plan_moving(call, mean, spec.eps, spec.activation)
    return None if plan is None else Known.of(spec, x, plan)


def by_batch_moving(
    known: Known, x: Tensor, vectors: Vectors, residual: Tensor | None, state: RunningState
) -> Tensor | None:
    """``by_batch`` and ``move`` in one call of one kernel; None where a vector does not fit it."""
    if residual is not None:
        check_like(residual, x, "residual")
    spec = known.spec
    batches = state.batches
    if batches.dtype is not torch.int64 or not batches.is_cpu:
        return None
    moved = Moved(state.mean, state.var, known.momentum, spec.unbiased, batches)
    done = train_moving(known.plan, x, *vectors, residual, moved)
    if done is None:
        return None
    y, finite = done
    if not finite:
        warn_not_finite(spec)
    return y


def by_weights(
    spec: Spec,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    weights: Tensor,
) -> tuple[Tensor, Moments]:
    """Normalize by the statistics of the positions that count; also those."""
    axes = spec.axes(x.ndim)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    spread = position_weights(weights, x, axes)
    _check_several_count(spread, x, spec)
    # Padding may be NaN; its output then is, and through √var every gradient: 0 · NaN is NaN.
    x = x.masked_fill((spread == 0) & ~x.isfinite(), 0.0)
    stats = weighted_moments(x, rest, spread, keepdims=True)
    if residual is not None:
        check_like(residual, x, "residual")
    y = by_moments(spec, x, stats, (weight, bias), residual)
    batch = Moments(*(torch.as_tensor(s).detach().reshape(spec.channels) for s in stats))
    return y, batch


def by_moments(
    spec: Spec, x: Tensor, stats: Moments, vectors: Vectors, residual: Tensor | None
) -> Tensor:
    """Normalize by statistics that broadcast to x, with their gradient."""
    scale, offset = (None if v is None else v.view(stats.mean.shape) for v in vectors)
    y = batch_normalization(x, stats.mean, stats.var, offset, scale, spec.eps)
    return finish(y, residual, spec.activation)


def move(spec: Spec, state: RunningState, batch: Moments) -> None:
    """Move the running statistics by a batch, or warn that it was not finite."""
    _check_correction(spec, batch)
    with torch.no_grad():
        finite = commit(state, spec.running.updated(state, batch, spec.unbiased), batch)
    if not finite:
        warn_not_finite(spec)


def warn_not_finite(spec: Spec) -> None:
    """Say that a batch left the running statistics as they were."""
    warnings.warn(
        f"a {spec.kind} got a batch with NaN or infinity; its running statistics stay as they were",
        NonFiniteBatch,
        stacklevel=2,
    )


def _check_correction(spec: Spec, batch: Moments) -> None:
    """Raise BadOption for weights that sum to so little that n/(n − 1) is no correction."""
    if torch.compiler.is_compiling():  # no values to look at
        return
    if spec.unbiased and isinstance(batch.count, Tensor) and bool((batch.count < 2).any()):
        raise BadOption(
            "weights count values, and these come to fewer than two for each channel",
            got=f"weights that sum to {float(batch.count.min()):g}",
            do='scale them to sum to the number of values, or use running_var="biased"',
        )


def position_weights(weights: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Weights with x's rank and size 1 on the channel axes."""
    if weights.ndim == x.ndim - len(axes):
        for axis in axes:
            weights = weights.unsqueeze(axis)
    sizes = [1 if a in axes else n for a, n in enumerate(x.shape)]
    fits = weights.ndim == x.ndim and all(
        w in (1, n) for w, n in zip(weights.shape, sizes, strict=True)
    )
    if not fits:
        without = [n for a, n in enumerate(x.shape) if a not in axes]
        raise BadShape(
            "mask and weights count positions, the same for every channel",
            got=f"mask or weights of shape {list(weights.shape)}, x {list(x.shape)}",
            do=f"give shape {without}, or {sizes} with 1 wherever it should broadcast",
        )
    return weights


def _check_several_count(spread: Tensor, x: Tensor, spec: Spec) -> None:
    """Raise OneValuePerChannel when a single position of the batch counts."""
    if torch.compiler.is_compiling():  # no values to look at
        return
    positions = x.numel() // prod(spec.channels)
    times = positions // max(spread.numel(), 1)  # how often broadcasting repeats each weight
    if int((spread > 0).sum()) * times == 1:
        raise OneValuePerChannel(
            "training needs more than one value for each channel",
            got=f"a mask or weights that leave 1 of {positions} positions",
            do="use a larger batch, or eval() to use running statistics",
        )
