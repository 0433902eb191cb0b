"""The moving averages are moved more than once a step, or by other runs than training.

Symptom:   averages forget faster than their decay says, or learn from validation data.
Measured:  operations of UPDATE_OPS that runs with a train step executed, and others without one too.
Do:        run them with the train step alone: as its control dependencies, and nowhere else.
Source:    tensorflow/models#2123; the pattern sess.run([train_op, update_ops]) beside dependencies.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import program
from evenkeel.doctor.trace import Trace, Update

CODE = "EK602"


def check(trace: Trace) -> Iterator[Finding]:
    """One finding for all operations that two kinds of run executed."""
    program = trace.program
    both = [u for u in program.updates if u.in_training and u.in_other] if program else []
    if both:
        yield Finding(
            CODE,
            WARNING,
            both[0].line or both[0].name,
            len(both),
            f"{len(both)} operations of UPDATE_OPS ran with the train step, and in "
            f"{max(u.in_other for u in both)} kinds of run without it",
            "let them be control dependencies of the train step, and nothing else",
        )


RULE = add(
    Rule(
        CODE,
        "updates-run-twice",
        __doc__ or "",
        check,
        fires_on=(program(updates=(Update("bn/AssignMovingAvg", "train.py:5", 1, 1),)),),
        silent_on=(
            program(),
            program(updates=(Update("bn/AssignMovingAvg", "train.py:5", 0, 1),)),
        ),
    )
)
