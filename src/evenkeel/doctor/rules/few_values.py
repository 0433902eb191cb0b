"""Few values for each statistic.

Symptom:   noisy training that gets better with the batch size, and only with it.
Measured:  the smallest number of values for a channel's statistics (batch times positions), and the
           relative noise of the variance that follows: √(2 / (count − 1)).
Threshold: up to 8 values a warning: the variance is off by half. Below 32 a note: by a quarter.
Do:        larger batches; statistics of all workers (ek.convert(model, sync=True)); BatchRenorm.
Source:    Wu & He 2018, arXiv:1803.08494, figure 1: the error rises below 16 images.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import NOTE, WARNING, Finding
from evenkeel.doctor.measures import fewest
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import calls, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK204"
FEW, SOME = 8, 32


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer with few values per channel."""
    for one in trace.layers:
        count = fewest(one)
        if 1 < count < SOME and one.by_batch[0]:
            yield Finding(
                CODE,
                WARNING if count <= FEW else NOTE,
                one.path,
                count,
                f"{count} values per channel, the variance's noise is {(2 / (count - 1)) ** 0.5:.0%}",
                "larger batches, synchronized statistics, or BatchRenorm",
            )


RULE = add(
    Rule(
        CODE,
        "few-values",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(calls=calls(count=4))),
            model(layer(calls=calls(count=16))),
        ),
        silent_on=(
            model(),
            model(layer(calls=calls(count=4), by_batch=(False, False))),
        ),
    )
)
