"""The weight of a layer before a ReLU and a linear operation changes nothing.

Symptom:   none: a positive scale goes through the ReLU, and the linear operation can hold it as well.
Measured:  the number of weights that could be left out.
Do:        nothing, or scale=False in evenkeel's layers; the seed documents and TFLearn leave it out.
           It is no error: the weight changes how fast the operation behind it learns.
Source:    the documentation of tf.layers.batch_normalization, argument scale.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import NOTE, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import flow, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK302"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer whose weight the next operation could hold."""
    for one in trace.layers:
        if one.flow and one.flow.scale_free and one.weight is not None:
            yield Finding(
                CODE,
                NOTE,
                one.path,
                len(one.weight),
                f"{len(one.weight)} weights before {one.flow.after} and a linear operation do nothing",
                "scale=False, if you like",
            )


RULE = add(
    Rule(
        CODE,
        "scale-before-relu",
        __doc__ or "",
        check,
        fires_on=(model(layer(flow=flow(scale_free=True))),),
        silent_on=(
            model(),
            model(layer(flow=flow(scale_free=True), weight=None)),
        ),
    )
)
