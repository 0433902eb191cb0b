"""The moving averages' updates were never run with a train step.

Symptom:   a TensorFlow 1 program trains to a low loss, and its inference is a guess: the moving
           averages are 0 and 1 as on the first day.
Measured:  operations of the collection UPDATE_OPS that no run executed, in a graph whose runs trained;
           for a normalization that the program makes of tf.nn.moments and tf.nn.batch_normalization,
           the assignments to the variables of its inference. At: the line that made the first of them.
Do:        with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
           train_op = optimizer.minimize(loss)
           One that you make yourself: with tf.control_dependencies([train_mean, train_variance]) about
           the tf.nn.batch_normalization of the training branch.
Source:    tensorflow#1122, #11965; the question of the seed documents.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import program
from evenkeel.doctor.trace import Norm, Trace, Update

CODE = "EK601"


def check(trace: Trace) -> Iterator[Finding]:
    """One finding for all operations that nothing ran."""
    program = trace.program
    if program is None or not program.trained:
        return
    lost = [u for u in program.updates if not u.in_training and not u.in_other]
    early = any(g.held and g.held < g.later for g in program.gathered)
    if lost and not early:
        lines = list(dict.fromkeys(u.line for u in lost if u.line))
        also = f", made by {len(lines)} lines" if len(lines) > 1 else ""
        yield Finding(
            CODE,
            ERROR,
            lines[0] if lines else lost[0].name,
            len(lost),
            f"UPDATE_OPS holds {len(lost)} operations that no run ever executed{also}: {lost[0].name} "
            "and the others kept the moving averages at their initial values",
            "with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)): "
            "train_op = optimizer.minimize(loss)",
        )
    idle = [norm for norm in program.norms if norm.lost]
    if idle:
        yield Finding(
            CODE,
            ERROR,
            idle[0].lost,
            len(idle),
            f"no run ever assigned {idle[0].moving[0]}, an average of {idle[0].name}, as those of "
            f"{len(idle)} normalizations in all",
            "tf.control_dependencies([the assignments]) about the training branch's "
            "tf.nn.batch_normalization",
        )


RULE = add(
    Rule(
        CODE,
        "updates-never-run",
        __doc__ or "",
        check,
        fires_on=(
            program(updates=(Update("bn/AssignMovingAvg", "train.py:5"),)),
            program(norms=(Norm("bn", "train.py:3", moving=("Variable_2",), lost="train.py:4"),)),
        ),
        silent_on=(
            program(),
            program(trained=0, updates=(Update("bn/AssignMovingAvg", "train.py:5"),)),
        ),
    )
)
