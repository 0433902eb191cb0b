"""Channels are dead.

Symptom:   the network is smaller than it looks; accuracy stops early.
Measured:  the share of channels whose weight is next to nothing (a thousandth of the layer's largest),
           or whose output is positive for no value of any batch, with a ReLU behind.
Threshold: a quarter of the channels for a warning, a single one for a note. In a layer whose weights
           are all 0, as at the end of residual branches of new networks, none is counted.
Do:        lower the learning rate, look at the bias of these channels; no weight decay on weight and
           bias. Dead channels can be cut out of a trained network without loss.
Source:    Lu et al. 2019, arXiv:1903.06733 (dying ReLU); Liu et al. 2017, arXiv:1708.06519.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evenkeel.doctor.finding import NOTE, WARNING, Finding
from evenkeel.doctor.measures import pooled
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import flow, layer, model
from evenkeel.doctor.trace import Layer, Trace

CODE = "EK113"
FLAT = 1e-3
MANY = 0.25
_RELUS = {"ReLU", "relu", "relu_", "ReLU6", "relu6", "hardtanh"}


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer with channels that say nothing."""
    for one in trace.layers:
        flat, silent = _flat(one), _silent(one)
        if flat.shape != silent.shape:  # a damaged checkpoint: EK702
            continue
        dead = float((flat | silent).mean()) if one.channels else 0.0
        if dead > 0:
            yield Finding(
                CODE,
                WARNING if dead >= MANY else NOTE,
                one.path,
                dead,
                f"{dead:.0%} of the channels are dead: {int(flat.sum())} with no weight, "
                f"{int(silent.sum())} never above 0 before the ReLU",
                "lower the learning rate; look at weight and bias of these channels",
            )


def _flat(one: Layer) -> NDArray[np.bool_]:
    weight = np.abs(np.array(one.weight or (1.0,) * one.channels))
    return np.array(weight < FLAT * weight.max(initial=0.0), bool)


def _silent(one: Layer) -> NDArray[np.bool_]:
    relu = one.activation == "relu" or (one.flow is not None and one.flow.after in _RELUS)
    if not relu or not one.highest or not one.calls:
        return np.zeros(one.channels, bool)
    alive = pooled(one)[1] >= one.eps / 100  # below, eps is the cause: EK112
    return (np.array(one.highest) <= 0) & alive


RULE = add(
    Rule(
        CODE,
        "dead-channels",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(highest=(-1.0, -2.0, 1.0, 2.0))),
            model(layer(weight=(1.0, 1e-6, 1.0, 1.0))),
        ),
        silent_on=(
            model(),
            model(layer(highest=(-1.0, 1.0, 1.0, 1.0), flow=flow(after=""))),
            model(layer(weight=(0.0,) * 4)),
        ),
    )
)
