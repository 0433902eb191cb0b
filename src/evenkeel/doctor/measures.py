"""Numbers of one layer that several rules read: pure functions of its row in the trace."""

from math import log
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from evenkeel.doctor.trace import Layer, Trace

Array = NDArray[np.float64]
LOST = 0.1
"""Share of the initial values in an average from which a rule says that it is not one of the data."""
FAR, FACTOR, CHANCE = 0.5, log(2), 3  # EK102's page says why
_STACKS: WeakKeyDictionary[Layer, tuple[Array, Array]] = WeakKeyDictionary()


class Drift(NamedTuple):
    """Running statistics against those of the batches, and how far chance alone moves them.

    ``mean``: average over channels of |batch mean − running mean| / batch standard deviation. ``var``:
    average of |log(batch variance / running variance)|.
    """

    mean: float
    var: float
    mean_noise: float
    var_noise: float


def stacked(layer: Layer) -> tuple[Array, Array]:
    """Batch means and batch variances, [calls, channels]."""
    found = _STACKS.get(layer)
    if found is None:
        means, variances = zip(*((call.mean, call.var) for call in layer.calls), strict=True)
        found = _STACKS[layer] = np.array(means), np.array(variances)
    return found


def pooled(layer: Layer) -> tuple[Array, Array]:
    """The average over calls of the batch means, and of the batch variances."""
    means, variances = stacked(layer)
    return means.mean(0), variances.mean(0)


def drift(layer: Layer) -> Drift:
    """How far the running statistics are from the batches'; eps is part of each variance.

    Channels whose variance eps hides (EK112) say nothing of the running one.
    """
    mean, var = pooled(layer)
    count = layer.calls[0].count
    bessel = count / (count - 1) if layer.unbiased and count > 1 else 1.0
    running_var = np.array(layer.running_var) / bessel + layer.eps
    distance = np.abs(np.array(layer.running_mean) - mean) / np.sqrt(var + layer.eps)
    # The variance of a population lies between that within its batches and that with their means'.
    whole = var + stacked(layer)[0].var(0) + layer.eps
    nearest = np.clip(running_var, var + layer.eps, whole)
    ratio = np.abs(np.log(np.maximum(running_var, 1e-38) / nearest))
    ratio = ratio[var >= layer.eps / 100] if (var >= layer.eps / 100).any() else np.zeros(1)
    spread, var_spread = between(layer)
    reach = np.sqrt(average_noise(layer) ** 2 + 1 / len(layer.calls))
    return Drift(
        float(distance.mean()),
        float(ratio.mean()),
        spread * float(reach),
        var_spread * float(reach),
    )


def between(layer: Layer) -> tuple[float, float]:
    """Standard deviation from batch to batch of the mean, in standard deviations, and of log var.

    Averages over channels; 0 from a single batch.
    """
    if len(layer.calls) < 2:
        return 0.0, 0.0
    means, variances = stacked(layer)
    scale = np.sqrt(variances.mean(0) + layer.eps)
    logs = np.log(variances + layer.eps)
    return float((means.std(0, ddof=1) / scale).mean()), float(logs.std(0, ddof=1).mean())


def is_far(found: Drift) -> bool:
    """Whether a drift is more than chance, and more than a network bears."""
    mean = found.mean > max(FAR, CHANCE * found.mean_noise)
    return mean or found.var > max(FACTOR, CHANCE * found.var_noise)


def average_noise(layer: Layer) -> float:
    """Noise of the exponential average for noise 1 of a batch: √(momentum / (2 − momentum))."""
    m = 0.0 if layer.momentum is None else layer.momentum
    return float(np.sqrt(m / (2 - m)))


def remaining(layer: Layer, steps: int | None) -> float:
    """The share of the initial values in the running statistics; 0 where nobody counted.

    By momentum and updates, unless the statistics themselves have hardly any of the initial values:
    then they were taken from data, which no counter tells.
    """
    updates = layer.updates if steps is None else max(steps, layer.updates or 0)
    if layer.momentum is None or not updates or layer.debiased:
        return 0.0
    counted = float((1 - layer.momentum) ** updates)
    return 0.0 if counted > LOST and _share_seen(layer) <= LOST else counted


def _share_seen(layer: Layer) -> float:
    """How far the running statistics lie on the way from the batches' to the initial 0 and 1.

    1 without a call, with statistics that are not finite, or where both ends are the same.
    """
    if not layer.calls or layer.running_mean is None or not finite(layer):
        return 1.0
    mean, var = pooled(layer)
    running_mean, running_var = np.array(layer.running_mean), np.array(layer.running_var)
    scale = np.sqrt(var + layer.eps)
    way = np.concatenate([-mean / scale, (1 - var) / (1 + var)])
    gone = np.concatenate([(running_mean - mean) / scale, (running_var - var) / (1 + var)])
    size = float(way @ way)
    return float(gone @ way) / size if size else 1.0


def at_initial(layer: Layer) -> bool:
    """Whether the running statistics are those of a new layer: mean 0, variance 1."""
    if layer.running_mean is None or layer.running_var is None:
        return False
    return not any(layer.running_mean) and all(v == 1 for v in layer.running_var)


def stands(layer: Layer) -> bool:
    """Whether the running statistics of a layer in training mode did not move in any step."""
    return (
        bool(layer.moves)
        and not any(layer.moves)
        and layer.by_batch[0]
        and bool(layer.calls)
        and layer.running_mean is not None
    )


def finite(layer: Layer) -> bool:
    """Whether every running statistic is finite, and no variance negative."""
    mean, var = np.array(layer.running_mean or ()), np.array(layer.running_var or ())
    return bool(np.isfinite(mean).all() and np.isfinite(var).all() and (var >= 0).all())


def has_drift(layer: Layer, trace: Trace) -> bool:
    """Whether a drift of this layer would mean anything that no other rule says already."""
    moves = layer.by_batch[0] and not layer.frozen and not stands(layer)
    told = not at_initial(layer) and remaining(layer, trace.steps) <= LOST
    known = bool(layer.calls) and layer.running_mean is not None and finite(layer)
    return moves and told and known and all(np.isfinite(c.mean).all() for c in layer.calls)


def fewest(layer: Layer) -> int:
    """The smallest number of values for a channel's statistics; 0 without a call."""
    return min((call.count for call in layer.calls), default=0)
