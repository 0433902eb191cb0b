"""Each position of a map has statistics of its own.

Symptom:   many more parameters than feature maps, statistics of N values only, no shift invariance.
Measured:  how many positions of a map became channels before the layer.
Do:        normalize before flattening, so that all positions of a feature map share its statistics.
Source:    Ioffe & Szegedy 2015, section 3.2: convolutional layers keep the convolutional property.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import flow, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK304"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer over a flattened map."""
    for one in trace.layers:
        if one.flow and one.flow.flattened > 1:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                one.flow.flattened,
                f"{one.flow.flattened} positions of each map are {one.channels} channels: parameters "
                "per activation, not per feature map",
                "normalize before flattening",
            )


RULE = add(
    Rule(
        CODE,
        "per-activation",
        __doc__ or "",
        check,
        fires_on=(model(layer(flow=flow(flattened=49))),),
        silent_on=(
            model(),
            model(layer(flow=None)),
        ),
    )
)
