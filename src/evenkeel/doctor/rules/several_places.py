"""One layer stands at several places.

Symptom:   training is good; inference is bad, since the two places have other statistics.
Measured:  how often one forward calls the layer.
Do:        a layer of its own for each place; weights may be shared, statistics may not.
Source:    Cooijmans et al. 2017, arXiv:1603.09025: statistics of their own for each time step.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import flow, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK307"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that one forward calls more than once."""
    for one in trace.layers:
        if one.flow and one.flow.calls > 1 and one.running_mean is not None:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                one.flow.calls,
                f"called {one.flow.calls} times in one forward: one average of {one.flow.calls} places",
                "a layer of its own for each place",
            )


RULE = add(
    Rule(
        CODE,
        "several-places",
        __doc__ or "",
        check,
        fires_on=(model(layer(flow=flow(calls=2))),),
        silent_on=(
            model(),
            model(layer(flow=flow(calls=2), running_mean=None)),
        ),
    )
)
