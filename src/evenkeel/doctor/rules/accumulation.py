"""Gradients are accumulated over small micro-batches.

Symptom:   accumulating to a batch of 256 does not train as a batch of 256 does.
Measured:  forwards for each step of the optimizer, in the user's own step, and the fewest values that
           a layer has in one of them: statistics are those of the micro-batch.
Threshold: fewer than 32 values, as in EK204; else a note.
Do:        larger micro-batches; evenkeel.lockstep, which normalizes all of a step as one batch, or
           evenkeel.accumulated, under which the running statistics move once a step; or frozen ones.
Source:    pytorch#46516; the deep learning tuning playbook on ghost batches.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import NOTE, WARNING, Finding
from evenkeel.doctor.measures import fewest
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import calls, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK404"
SOME = 32


def check(trace: Trace) -> Iterator[Finding]:
    """One finding, at the layer with the fewest values."""
    moving = [one for one in trace.layers if one.calls and one.by_batch[0]]
    if trace.forwards_per_step <= 1 or not moving:
        return
    worst = min(moving, key=fewest)
    yield Finding(
        CODE,
        WARNING if fewest(worst) < SOME else NOTE,
        worst.path,
        trace.forwards_per_step,
        f"{trace.forwards_per_step:g} forwards a step, each with statistics of its own: "
        f"{fewest(worst)} values per channel here",
        "larger micro-batches, or evenkeel.lockstep: the micro-batches of a step as one batch",
    )


RULE = add(
    Rule(
        CODE,
        "accumulation",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(calls=calls(count=16)), forwards_per_step=4.0),
            model(forwards_per_step=4.0),
        ),
        silent_on=(
            model(),
            model(layer(by_batch=(False, False)), forwards_per_step=4.0),
        ),
    )
)
