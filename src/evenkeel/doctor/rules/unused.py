"""Nothing uses what a layer gives.

Symptom:   the network trains as without normalization; weight and bias never change.
Measured:  calls of the layer on whose output no output of the model depends.
Do:        x = bn(x): hand the result on.
Source:    seed 004, which normalizes its logits and returns the ones before.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import flow, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK309"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that runs for nothing."""
    for one in trace.layers:
        if one.calls and one.flow and not one.flow.used:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                len(one.calls),
                f"called {len(one.calls)} times, and no output of the model depends on it",
                "hand its result on: x = bn(x)",
            )


RULE = add(
    Rule(
        CODE,
        "unused",
        __doc__ or "",
        check,
        fires_on=(model(layer(flow=flow(used=False))),),
        silent_on=(
            model(),
            model(layer(flow=None)),
        ),
    )
)
