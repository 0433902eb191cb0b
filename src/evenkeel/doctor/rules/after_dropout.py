"""Dropout stands before the normalization.

Symptom:   inference is worse than dropout and normalization are each by themselves.
Measured:  the variance of the layer's input in training over that without dropout, by batch statistics
           in both: running statistics are taken with dropout, inference is without it.
Threshold: a factor of 1.25 and four times its own noise for a warning: the output is then off by a
           tenth. Below, a note.
Do:        dropout after the last normalization; or evenkeel.recalibrate, which runs without dropout.
Source:    Li et al. 2019, arXiv:1801.05134 (variance shift).
"""

from collections.abc import Iterator
from math import exp, log

import numpy as np

from evenkeel.doctor.finding import NOTE, WARNING, Finding
from evenkeel.doctor.measures import fewest, pooled
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import flow, layer, model
from evenkeel.doctor.trace import Layer, Trace

CODE = "EK306"
SHIFT = log(1.25)
NOISE = 4


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer downstream of a dropout."""
    for one in trace.layers:
        if not (one.flow and one.flow.dropout and one.calls and one.by_batch[0]):
            continue
        shift = _shift(one)
        noise = NOISE * (2 / max(1, fewest(one))) ** 0.5
        yield Finding(
            CODE,
            WARNING if shift > max(SHIFT, noise) else NOTE,
            one.path,
            exp(shift),
            f"behind {one.flow.dropout}: {exp(shift):.2f} times the variance without it",
            "dropout after the last normalization, or evenkeel.recalibrate(model, batches)",
        )


def _shift(one: Layer) -> float:
    if not one.var_without_dropout:
        return 0.0
    _, var = pooled(one)
    still = np.array(one.var_without_dropout)
    return float(np.log((var + one.eps) / (still + one.eps)).mean())


RULE = add(
    Rule(
        CODE,
        "after-dropout",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(flow=flow(dropout="drop"), var_without_dropout=(0.6,) * 4)),
            model(layer(flow=flow(dropout="drop"))),
        ),
        silent_on=(
            model(),
            model(layer(var_without_dropout=(0.6,) * 4)),
        ),
    )
)
