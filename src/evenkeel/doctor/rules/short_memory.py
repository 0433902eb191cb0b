"""The average is as noisy as a few batches.

Symptom:   validation jumps from epoch to epoch although training is smooth.
Measured:  the noise of the running mean in standard deviations: that of the batch means times
           √(momentum / (2 − momentum)), which is what the average leaves of it.
Threshold: half a standard deviation for a warning (what EK102 calls far), a quarter for a note.
Do:        a smaller momentum; or evenkeel.recalibrate(model, batches) before each evaluation.
Source:    the variance of an exponential average of independent values.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import NOTE, WARNING, Finding
from evenkeel.doctor.measures import average_noise, between
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import calls, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK115"
FAR = 0.5
HALF = 0.5  # a momentum from which EK105 speaks


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer whose average jumps with its batches."""
    for one in trace.layers:
        if (
            one.momentum is None
            or one.momentum >= HALF
            or len(one.calls) < 2
            or not one.by_batch[0]
        ):
            continue
        noise = average_noise(one) * between(one)[0]
        if noise > FAR / 2:
            yield Finding(
                CODE,
                WARNING if noise > FAR else NOTE,
                one.path,
                noise,
                f"the running mean jumps by {noise:.2f} standard deviations, at momentum "
                f"{one.momentum:g}",
                f"momentum={one.momentum / 10:g}, or larger batches",
            )


RULE = add(
    Rule(
        CODE,
        "short-memory",
        __doc__ or "",
        check,
        fires_on=(model(layer(momentum=0.4, calls=calls(swing=2.0, count=8))),),
        silent_on=(
            model(),
            model(layer(calls=calls(swing=0.5))),
        ),
    )
)
