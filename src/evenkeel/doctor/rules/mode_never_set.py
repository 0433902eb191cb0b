"""TFLearn's training mode was never set.

Symptom:   a TFLearn layer does nothing: its moving averages are those of the first day, and training
           goes on without the batch's statistics.
Measured:  normalizations whose mode is a variable, and whose moving averages no run moved: runs used
           them at their initial values, mean 0 and variance 1.
Do:        tflearn.is_training(True, session=sess) before training, False after it; tflearn.DNN does.
Source:    seed 002; a widely copied DDPG example ships that way.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import WARNING, Finding, counted
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import program
from evenkeel.doctor.trace import Norm, Trace

CODE = "EK606"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for normalizations whose mode nobody set to training."""
    norms = trace.program.norms if trace.program else ()
    idle = [n for n in norms if n.mode == "variable" and n.at_initial]
    if idle:
        yield Finding(
            CODE,
            WARNING,
            idle[0].line or idle[0].name,
            len(idle),
            f"{counted(len(idle), 'normalization')} ran with mean 0 and variance 1: no run"
            f" moved the averages of {idle[0].name}",
            "tflearn.is_training(True, session=sess) while training",
        )


RULE = add(
    Rule(
        CODE,
        "mode-never-set",
        __doc__ or "",
        check,
        fires_on=(program(norms=(Norm("bn", "train.py:3", mode="variable", at_initial=True),)),),
        silent_on=(
            program(),
            program(norms=(Norm("bn", "train.py:3", mode="variable"),)),
        ),
    )
)
