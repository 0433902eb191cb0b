"""The running variance is not in the convention of the weights' origin.

Symptom:   fine-tuning a ported network moves its inference away from training, for small counts.
Measured:  count / (count − 1): how much larger the unbiased variance is.
Threshold: 0.1 % for a warning, that is counts below 1000. Below, a note.
Do:        running_var="biased" or "unbiased" in evenkeel's layers, as ek.convention(origin) says.
Source:    docs/conventions.md.
"""

from collections.abc import Iterator

from evenkeel.conventions import convention
from evenkeel.doctor.finding import NOTE, WARNING, Finding
from evenkeel.doctor.measures import fewest
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import calls, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK403"
MUCH = 1e-3


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that takes the other variance than its origin."""
    for one in trace.layers if trace.origin else ():
        unbiased = convention(trace.origin, rank=one.rank).running_var == "unbiased"
        count = fewest(one)
        if one.unbiased is not unbiased and count > 1 and one.running_var is not None:
            more = 1 / (count - 1)
            kinds = ("unbiased", "biased") if one.unbiased else ("biased", "unbiased")
            yield Finding(
                CODE,
                WARNING if more > MUCH else NOTE,
                one.path,
                more,
                f"it takes the {kinds[0]} variance, {trace.origin} the {kinds[1]}: {more:.2%} of it",
                f'running_var="{kinds[1]}" in evenkeel\'s layers',
            )


RULE = add(
    Rule(
        CODE,
        "variance-of-origin",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(calls=calls(count=16)), origin="tflearn"),
            model(origin="tflearn"),
        ),
        silent_on=(
            model(),
            model(layer(unbiased=False), origin="tflearn"),
        ),
    )
)
