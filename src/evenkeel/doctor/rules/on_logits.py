"""The logits are normalized.

Symptom:   the loss stops early: the network cannot be surer than the normalized scale lets it be.
Measured:  the number of classes whose scores come out of the layer, with nothing but a softmax behind.
           A warning where labels number the columns; a note where no labels say what the output is.
Do:        take the layer away from behind the last linear operation.
Source:    seed 004, which normalizes its logits.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import NOTE, WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import flow, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK305"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for a layer whose output is the model's."""
    for one in trace.layers:
        if one.flow and one.flow.output and trace.classes in (None, one.channels):
            yield Finding(
                CODE,
                NOTE if trace.classes is None else WARNING,
                one.path,
                one.channels,
                f"its {one.channels} outputs are the model's output",
                "no normalization behind the last linear operation",
            )


RULE = add(
    Rule(
        CODE,
        "on-logits",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(flow=flow(output=True)), classes=4),
            model(layer(flow=flow(output=True))),
        ),
        silent_on=(
            model(),
            model(layer(flow=flow(output=True)), classes=10),
        ),
    )
)
