"""A bias stands before the normalization.

Symptom:   none: the bias is subtracted with the mean. It costs memory, and time in each step.
Measured:  the number of bias values of the linear operation before the layer.
Do:        build the operation with bias=False. The fix drops it and moves the running mean along.
Source:    Ioffe & Szegedy 2015, section 3.2.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import NOTE, Finding
from evenkeel.doctor.repairs import drop_bias
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import flow, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK301"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer with a bias before it."""
    for one in trace.layers:
        if one.flow and one.flow.before_bias and one.by_batch[0]:
            yield Finding(
                CODE,
                NOTE,
                one.path,
                one.flow.before_bias,
                f"the {one.flow.before_bias} bias values of {one.flow.before_path} are subtracted "
                "with the mean",
                "build it with bias=False",
                one.flow.before_path,
            )


RULE = add(
    Rule(
        CODE,
        "bias-before",
        __doc__ or "",
        check,
        fires_on=(model(layer(flow=flow(before_bias=64))),),
        silent_on=(
            model(),
            model(layer(flow=None)),
        ),
        repair=drop_bias,
    )
)
