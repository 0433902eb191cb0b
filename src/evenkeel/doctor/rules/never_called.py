"""A layer is never called.

Symptom:   none, or a network that was meant to be normalized and is not.
Measured:  calls in training and in evaluation: none.
Do:        call it in forward, or take it out of the model: its statistics stay those of a new layer.
Source:    a common slip: the layer is built in __init__ and forgotten in forward.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK308"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that nothing called."""
    if trace.kind != "model" or trace.failure is not None or not trace.sizes:
        return
    for one in trace.layers:
        if not one.calls and not one.evaluations:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                0,
                f"0 calls in {len(trace.sizes)} batches of training and evaluation",
                "call it in forward, or take it out",
            )


RULE = add(
    Rule(
        CODE,
        "never-called",
        __doc__ or "",
        check,
        fires_on=(model(layer(calls=(), evaluations=0, flow=None)),),
        silent_on=(
            model(),
            model(layer(calls=(), evaluations=8)),
            model(layer(calls=(), evaluations=0), kind="checkpoint"),
        ),
    )
)
