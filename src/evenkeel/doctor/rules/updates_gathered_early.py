"""UPDATE_OPS was gathered before all layers were built.

Symptom:   some layers' moving averages move, others stay at 0 and 1; or none move although the program
           runs what it gathered.
Measured:  how many operations the collection held at the line that asked for it, and at the end, where
           runs trained and left some of them out.
Do:        build the whole network first, then tf.get_collection(tf.GraphKeys.UPDATE_OPS).
Source:    tensorflow#16102.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import program
from evenkeel.doctor.trace import Gathered, Trace, Update

CODE = "EK603"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for the line that asked too early."""
    program = trace.program
    if program is None or not program.trained:
        return
    lost = [u for u in program.updates if not u.in_training]
    asked = max(program.gathered, key=lambda g: g.held, default=None)
    if lost and asked is not None:
        yield Finding(
            CODE,
            ERROR,
            asked.line,
            asked.later - asked.held,
            f"UPDATE_OPS held {asked.held} operations here and {asked.later} at the end; training runs "
            f"left out {len(lost)}, {lost[-1].name} among them",
            "gather UPDATE_OPS after the last layer",
        )


RULE = add(
    Rule(
        CODE,
        "updates-gathered-early",
        __doc__ or "",
        check,
        fires_on=(
            program(
                updates=(Update("bn_1/AssignMovingAvg", "train.py:9"),),
                gathered=(Gathered("train.py:6", 2, 4),),
            ),
        ),
        silent_on=(
            program(),
            program(gathered=(Gathered("train.py:6", 2, 4),)),
        ),
    )
)
