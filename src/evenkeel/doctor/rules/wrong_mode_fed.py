"""The wrong mode is fed.

Symptom:   training without normalization by the batch, or results that depend on the test batch.
Measured:  the truth values that were fed to the normalization's flag, in runs with a train step and in
           those without. A finding where training was fed False, or where every other run was fed True.
           The first run of each kind counts: the same fetches fed True and later False are one kind.
Do:        feed True with the train step, and False everywhere else.
Source:    soloice/mnist-bn#7; the programs of the seed documents.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import program
from evenkeel.doctor.trace import Norm, Trace

CODE = "EK604"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for the first normalization of each wrong mode."""
    every = trace.program.norms if trace.program else ()
    norms = [n for n in every if n.mode == "fed"]  # EK606 speaks of variables
    training = [n for n in norms if "inference" in n.trained_with]
    evaluation = [n for n in norms if n.evaluated_with == ("training",)]
    for wrong, words in (
        (training, "False with the train step"),
        (evaluation, "True in every evaluation"),
    ):
        if wrong:
            yield Finding(
                CODE,
                ERROR,
                wrong[0].line or wrong[0].name,
                len(wrong),
                f"the mode of {wrong[0].name} was fed {words}, as that of {len(wrong)} in all",
                "feed True with the train step, False everywhere else",
            )


RULE = add(
    Rule(
        CODE,
        "wrong-mode-fed",
        __doc__ or "",
        check,
        fires_on=(
            program(norms=(Norm("bn", "train.py:3", trained_with=("inference",)),)),
            program(norms=(Norm("bn", "train.py:3", evaluated_with=("training",)),)),
        ),
        silent_on=(
            program(),
            program(norms=(Norm("bn", "train.py:3", evaluated_with=("inference", "training")),)),
        ),
    )
)
