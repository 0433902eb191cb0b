"""One value per channel.

Symptom:   "Expected more than 1 value per channel when training" at the last batch, or at the end of a
           small network, where the map is 1 x 1.
Measured:  the number of values that the layer had for each channel.
Why:       the variance of one value is 0, and the normalized output is the bias whatever came in.
Do:        drop_last=True in the loader, a larger batch or input; or ek.freeze the layer.
Source:    mmsegmentation#272; fastai#1352.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.measures import fewest
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import calls, layer, model
from evenkeel.doctor.trace import Failure, Trace

CODE = "EK203"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that got a single value per channel in training."""
    failure = trace.failure
    for one in trace.layers:
        failed = failure is not None and failure.path == one.path and failure.count <= 1
        if failed or (one.by_batch[0] and fewest(one) == 1):
            yield Finding(
                CODE,
                ERROR,
                one.path,
                1,
                "one value per channel: its variance is 0, and training stops here"
                + (f" ({failure.error})" if failed and failure else ""),
                "drop_last=True in the loader, or a larger batch",
            )


RULE = add(
    Rule(
        CODE,
        "one-value",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(calls=calls(count=1))),
            model(
                layer(calls=()), failure=Failure("training", "bn", 1, "Expected more than 1 value")
            ),
        ),
        silent_on=(
            model(),
            model(layer(calls=calls(count=1), by_batch=(False, False))),
        ),
    )
)
