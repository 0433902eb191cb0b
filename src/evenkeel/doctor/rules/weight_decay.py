"""Weight decay pulls on weight and bias of a normalization.

Symptom:   small: the decay shrinks outputs without making the function simpler.
Measured:  the decay of the optimizer's group that holds the layer's parameters.
Do:        a group of its own for them, with weight_decay=0. Decay of the weights before a normalization
           changes the effective learning rate only, and is left alone.
Source:    He et al. 2019, arXiv:1812.01187, section 3.1 (no bias decay).
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import NOTE, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK310"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that the optimizer decays."""
    for one in trace.layers:
        if one.decay > 0:
            yield Finding(
                CODE,
                NOTE,
                one.path,
                one.decay,
                f"weight and bias decay by {one.decay:g}",
                "their own parameter group, with weight_decay=0",
            )


RULE = add(
    Rule(
        CODE,
        "weight-decay",
        __doc__ or "",
        check,
        fires_on=(model(layer(decay=0.01)),),
        silent_on=(model(),),
    )
)
