"""Two populations share one average.

Symptom:   training works, inference fails on both kinds of data: real and generated images, two
           domains, clean and adversarial examples.
Measured:  batch means, sorted and cut in two at the widest place, per channel: how far the two groups'
           centres are apart, in standard deviations of a batch, and in those within the groups.
Threshold: one standard deviation, and six of the group's own, in half of the channels, with two batches
           in each group: the average of the two is then nobody's mean. Six, because the best cut of
           eight normal numbers already puts their halves three apart.
Do:        give each population its statistics: ek.convert(model, to="streams"), or mix both in a batch.
Source:    Xie et al. 2020, arXiv:1911.09665 (auxiliary batch norms); ganhacks#9.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.measures import stacked
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import calls, layer, model
from evenkeel.doctor.trace import Layer, Trace

CODE = "EK111"
FAR = 1.0
TIGHT = 6.0
MOST = 0.5


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer whose batch means fall into two groups."""
    for one in trace.layers:
        gap = _gap(one)
        if gap:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                gap,
                f"batch means fall into two groups, {gap:.1f} standard deviations apart",
                'ek.convert(model, to="streams"), or mix both kinds in each batch',
            )


def _gap(one: Layer) -> float:
    """How far the groups are apart; 0 where there are none."""
    if len(one.calls) < 4 or (one.flow and one.flow.calls > 1):
        return 0.0
    means, variances = stacked(one)
    means = np.sort(means / np.sqrt(variances.mean(0) + one.eps), axis=0)
    gaps = _splits(means)
    found = gaps[gaps > 0]
    return float(np.median(found)) if len(found) >= MOST * len(gaps) else 0.0


def _splits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each column of sorted values the gap between two tight groups far apart; 0 for none."""
    count = len(values)
    low = np.argmax(np.diff(values, axis=0)[1:-1], axis=0) + 2  # values in the lower group
    sums, squares = np.cumsum(values, axis=0), np.cumsum(values**2, axis=0)
    column = np.arange(values.shape[1])
    below, below_squares = sums[low - 1, column], squares[low - 1, column]
    above = sums[-1] - below
    gap = above / (count - low) - below / low
    within = below_squares - below**2 / low
    within += squares[-1] - below_squares - above**2 / (count - low)
    own = np.sqrt(np.maximum(within, 0) / count)
    return np.where(gap > np.maximum(FAR, TIGHT * own), gap, 0.0)


RULE = add(
    Rule(
        CODE,
        "two-populations",
        __doc__ or "",
        check,
        fires_on=(model(layer(calls=calls(swing=2.0))),),
        silent_on=(
            model(),
            model(layer(calls=calls(swing=0.2))),
        ),
    )
)
