"""A checkpoint has weight and bias of a layer, and not its statistics.

Symptom:   missing keys on loading, or an inference by the statistics of a new layer.
Measured:  how many such layers the checkpoint holds parameters of, by name: gamma, beta beside no
           moving_mean and moving_variance.
Do:        save everything (Saver() without a list; state_dict(), not parameters()), or take the
           statistics anew: evenkeel.recalibrate(model, batches).
Source:    tensorflow#3926; SfMLearner#17.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Checkpoint, Trace

CODE = "EK701"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer without statistics."""
    if trace.checkpoint is None:
        return
    for name in trace.checkpoint.orphans:
        yield Finding(
            CODE,
            ERROR,
            name,
            1,
            "weight and bias are here, running mean and variance are not",
            "save all variables, or evenkeel.recalibrate(model, batches)",
        )


RULE = add(
    Rule(
        CODE,
        "without-statistics",
        __doc__ or "",
        check,
        fires_on=(Trace(kind="checkpoint", checkpoint=Checkpoint({}, ("bn",))),),
        silent_on=(
            model(),
            Trace(kind="checkpoint", layers=(layer(calls=()),), checkpoint=Checkpoint({})),
        ),
    )
)
