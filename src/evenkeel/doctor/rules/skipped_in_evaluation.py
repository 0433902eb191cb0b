"""Evaluation skips a layer of the training path.

Symptom:   validation is bad, and recalibration does not help.
Measured:  calls in training, against none in evaluation, of a layer whose linear operation ran in both.
           A branch that only training has, as an auxiliary head, skips that operation too: no finding.
Do:        build both paths by the same code, with the layer's mode as the only difference.
Source:    seed 001, whose validation path multiplies by the same weights without the normalization.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK205"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that evaluation leaves out."""
    for one in trace.layers:
        if one.path in trace.bare:
            yield Finding(
                CODE,
                ERROR,
                one.path,
                len(one.calls),
                f"called {len(one.calls)} times in training and never in evaluation, where "
                f"{one.flow.before_path if one.flow else 'its input'} runs without it",
                "let evaluation go through the layer, in evaluation mode",
            )


RULE = add(
    Rule(
        CODE,
        "skipped-in-evaluation",
        __doc__ or "",
        check,
        fires_on=(model(layer(evaluations=0), bare=("bn",)),),
        silent_on=(
            model(),
            model(layer(evaluations=0)),
        ),
    )
)
