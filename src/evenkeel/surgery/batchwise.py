"""What one layer does with one batch while statistics are gathered, and the statistics of many."""

import torch
from torch import Tensor

from evenkeel.autograd import plan_moving
from evenkeel.functional import moments, weighted_moments
from evenkeel.functional.normalization import normalize_by, normalize_by_batch
from evenkeel.functional.statistics import Moments
from evenkeel.kernels import Call
from evenkeel.kernels.fused import native
from evenkeel.kernels.library import alike
from evenkeel.nn.spec import Spec
from evenkeel.nn.steps import Known
from evenkeel.views import check_like, check_not_empty


class Planned:
    """``normalized`` with all that Python does before the kernel done once for inputs of one kind."""

    def __init__(
        self, spec: Spec, weight: Tensor | None, bias: Tensor | None, running: Tensor
    ) -> None:
        self._spec, self._vectors, self._running = spec, (weight, bias), running
        self._known: Known | None = None

    def __call__(self, x: Tensor, residual: Tensor | None) -> tuple[Tensor, Moments] | None:
        """``y`` and the batch's statistics; None where no kernel does all of it."""
        known = self._known
        if known is None or not known.covers(self._spec, x):
            known = self._known = self._known_of(x)
            if known is None:
                return None
        if residual is not None:
            check_like(residual, x, "residual")
            residual = alike(residual, x)
        y, (rows, _) = native.forward(known.plan, x, *self._vectors, residual, None)
        channels = self._spec.channels
        count = x.numel() // rows.shape[1]
        return y, Moments(rows[native.MEAN].view(channels), rows[native.VAR].view(channels), count)

    def _known_of(self, x: Tensor) -> Known | None:
        spec = self._spec
        spec.check_input(x)
        axes = spec.axes(x.ndim)
        check_not_empty(x, axes)
        plan = plan_moving(Call.of(x, axes), self._running, spec.eps, spec.activation)
        fits = plan is not None and all(plan.fits(vector) for vector in self._vectors)
        return Known.of(spec, x, plan) if plan is not None and fits else None


def normalized(
    spec: Spec,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    spread: Tensor | None,
) -> tuple[Tensor, Moments]:
    """``x`` by its own statistics, in one pass of one kernel; also those."""
    spec.check_input(x)
    if spread is None:
        return normalize_by_batch(
            x,
            weight,
            bias,
            eps=spec.eps,
            channel_axis=spec.channel_axis,
            activation=spec.activation,
            residual=residual,
        )
    batch = moments_of(spec, x, spread)
    y = normalize_by(
        x,
        batch.mean,
        batch.var,
        weight,
        bias,
        eps=spec.eps,
        channel_axis=spec.channel_axis,
        activation=spec.activation,
        residual=residual,
    )
    return y, batch


def moments_of(spec: Spec, x: Tensor, spread: Tensor | None) -> Moments:
    """The statistics of one input over all axes but the channels'."""
    spec.check_input(x)
    kept = spec.axes(x.ndim)
    over = tuple(axis for axis in range(x.ndim) if axis not in kept)
    if spread is None:
        found = moments(x, over)
    else:
        if spread.ndim == x.ndim - len(kept):
            for axis in kept:
                spread = spread.unsqueeze(axis)
        found = weighted_moments(x, over, spread)
    mean, var, count = found
    counts = count.reshape(spec.channels) if isinstance(count, Tensor) else count
    return Moments(mean.reshape(spec.channels), var.reshape(spec.channels), counts)


def merged(batches: list[Moments]) -> Moments:
    """``merge_nonempty`` of many parts with few operations."""
    means = torch.stack([batch.mean for batch in batches]).double()
    variances = torch.stack([batch.var for batch in batches]).double()
    whole = all(isinstance(batch.count, int) for batch in batches)
    if whole:
        sizes = [1] * (means.ndim - 1)
        counts = means.new_tensor([batch.count for batch in batches]).view(-1, *sizes)
    else:
        rows = [torch.as_tensor(batch.count).to(means) for batch in batches]
        counts = torch.stack([row.expand(means.shape[1:]) for row in rows])
    total = counts.sum(0)
    mean = (counts * means).sum(0) / total
    var = (counts * (variances + (means - mean).square())).sum(0) / total
    return Moments(mean, var, sum(int(batch.count) for batch in batches) if whole else total)


def wide(batch: Moments) -> Moments:
    """The same in float64."""
    return Moments(batch.mean.double(), batch.var.double(), batch.count)
