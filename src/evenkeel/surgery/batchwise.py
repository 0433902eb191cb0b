"""What one layer does with one batch while statistics are gathered, and the statistics of many."""

from typing import NamedTuple

import torch
from torch import Tensor

from evenkeel.functional import moments, weighted_moments
from evenkeel.functional.statistics import Moments
from evenkeel.kernels import KERNELS, Call, choose
from evenkeel.kernels.by_batch import ByBatch
from evenkeel.kernels.library import alike
from evenkeel.kernels.plan import plan_of
from evenkeel.nn.spec import Spec
from evenkeel.nn.steps import Known, by_statistics
from evenkeel.views import check_like, check_not_empty, statistics_dtype


class Rows(NamedTuple):
    """The statistics of one batch, mean and variance as one tensor [2, *channels]."""

    both: Tensor
    count: Tensor | int  # type: ignore[assignment]  # hides tuple.count on purpose

    @classmethod
    def of(cls, batch: Moments) -> "Rows":
        """The same of a mean and a variance."""
        return cls(torch.stack((batch.mean, batch.var)), batch.count)

    def wide(self) -> Moments:
        """The same in float64."""
        mean, var = self.both.double().unbind()
        return Moments(mean, var, self.count)


class Planned:
    """``normalized`` with all that Python does before the kernels done once for inputs of one kind."""

    def __init__(self, spec: Spec, weight: Tensor | None, bias: Tensor | None) -> None:
        self._spec, self._vectors = spec, (weight, bias)
        self._ready: tuple[Known, ByBatch, int] | None = None  # one value: threads share layers

    def __call__(self, x: Tensor, residual: Tensor | None) -> tuple[Tensor, Rows] | None:
        """``y`` and the batch's statistics; None where no kernel does all of it."""
        ready = self._ready
        if ready is None or not ready[0].covers(self._spec, x):
            ready = self._ready = self._ready_for(x)
            if ready is None:
                return None
        if residual is not None:
            check_like(residual, x, "residual")
            residual = alike(residual, x)
        y, both = ready[1](x, residual)
        several = len(self._spec.channels) > 1
        return y, Rows(both.view(2, *self._spec.channels) if several else both, ready[2])

    def _ready_for(self, x: Tensor) -> tuple[Known, ByBatch, int] | None:
        spec = self._spec
        spec.check_input(x)
        axes = spec.axes(x.ndim)
        check_not_empty(x, axes)
        call = Call.of(x, axes)
        kernels = [choose(KERNELS[operation], call) for operation in ("moments", "normalize")]
        if call.view is None or any(kernel.name != "native" for kernel in kernels):
            return None
        plan = plan_of(call, statistics_dtype(x), spec.eps, spec.activation)
        run = ByBatch(plan, *map(plan.suited, self._vectors))
        return Known.of(spec, x, plan), run, x.numel() // plan.head[1]


def normalized(
    spec: Spec,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    spread: Tensor | None,
) -> tuple[Tensor, Moments]:
    """``x`` by its own statistics; also those."""
    batch = moments_of(spec, x, spread)
    y = by_statistics(spec, x, batch.mean, batch.var, (weight, bias), residual)
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


def merged(batches: list[Rows]) -> Moments:
    """``merge_nonempty`` of many parts with few operations."""
    means, variances = torch.stack([batch.both for batch in batches]).double().unbind(1)
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
