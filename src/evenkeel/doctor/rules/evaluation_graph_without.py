"""The validation graph lacks the normalization of the training graph.

Symptom:   training accuracy is high, validation accuracy is a guess, and stays one.
Measured:  weights whose product is normalized in runs with a train step, and is not in another run.
           At: the line that multiplies by them without it.
Do:        build both graphs by one function; in inference the normalization uses moving averages.
Source:    seed 001, whose validation multiplies by hidden_weights and forgets the layer behind.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import program
from evenkeel.doctor.trace import Bare, Trace

CODE = "EK607"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each weight that loses its normalization."""
    for bare in trace.program.bare if trace.program else ():
        yield Finding(
            CODE,
            ERROR,
            bare.line or bare.weights,
            1,
            f"the product with {bare.weights} goes through {bare.norm} in training, and not here",
            "build training and validation by one function",
        )


RULE = add(
    Rule(
        CODE,
        "evaluation-graph-without",
        __doc__ or "",
        check,
        fires_on=(program(bare=(Bare("weights", "bn", "train.py:9"),)),),
        silent_on=(program(),),
    )
)
