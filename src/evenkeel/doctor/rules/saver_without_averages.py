"""A Saver leaves the moving averages out.

Symptom:   a restored model says FailedPrecondition: uninitialized value .../moving_mean, or infers by
           averages that begin anew.
Measured:  moving averages of the graph that a save which ran does not write: none of them is in it.
Do:        tf.train.Saver() without a list, or tf.global_variables() and not tf.trainable_variables().
Source:    SfMLearner#17; tensorpack#880.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import program
from evenkeel.doctor.trace import Saved, Trace

CODE = "EK608"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each such Saver."""
    for saver in trace.program.savers if trace.program else ():
        yield Finding(
            CODE,
            ERROR,
            saver.line,
            len(saver.missing),
            f"{len(saver.missing)} moving averages are not saved, {saver.missing[0]} among them",
            "tf.train.Saver() without a list of variables",
        )


RULE = add(
    Rule(
        CODE,
        "saver-without-averages",
        __doc__ or "",
        check,
        fires_on=(
            program(savers=(Saved("train.py:9", ("bn/moving_mean", "bn/moving_variance")),)),
        ),
        silent_on=(program(),),
    )
)
