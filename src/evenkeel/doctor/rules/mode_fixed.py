"""is_training is fixed to True.

Symptom:   inference depends on the batch; an image alone comes out as the bias.
Measured:  normalizations of a trained graph that have no other mode than training. is_training=True is
           the default of tf.contrib.layers.batch_norm.
Do:        give is_training a placeholder, or build an inference graph with reuse and is_training=False.
Source:    seed 004; the documentation of tf.contrib.layers.batch_norm.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import WARNING, Finding, counted
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import program
from evenkeel.doctor.trace import Norm, Trace

CODE = "EK605"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for the normalizations that know training alone."""
    program = trace.program
    if program is None or not program.trained:
        return
    fixed = [n for n in program.norms if n.mode == "fixed training"]
    # A second graph of the same layers, in inference mode, is the other way to have both.
    both = any(n.mode == "fixed inference" for n in program.norms)
    if fixed and not both:
        yield Finding(
            CODE,
            WARNING,
            fixed[0].line or fixed[0].name,
            len(fixed),
            f"{counted(len(fixed), 'normalization')} with training mode alone, {fixed[0].name} first",
            "give is_training a placeholder that inference feeds with False",
        )


RULE = add(
    Rule(
        CODE,
        "mode-fixed",
        __doc__ or "",
        check,
        fires_on=(program(norms=(Norm("bn", "train.py:3", mode="fixed training"),)),),
        silent_on=(
            program(),
            program(trained=0, norms=(Norm("bn", "train.py:3", mode="fixed training"),)),
        ),
    )
)
