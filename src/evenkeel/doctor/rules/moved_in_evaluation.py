"""Running statistics move during evaluation.

Symptom:   results of inference depend on what was inferred before, and test data leaks into the model.
Measured:  whether buffers of a layer that normalizes by running statistics differ after evaluation.
Do:        leave the running statistics alone outside of training; look for code that writes to them
           in forward, or for F.batch_norm(..., training=True) with a layer's buffers.
Source:    pytorch#4741, in which a layer's training flag and its use come apart.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK107"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that evaluation changed."""
    for one in trace.layers:
        if one.moved_in_evaluation and not one.by_batch[1]:
            yield Finding(
                CODE,
                ERROR,
                one.path,
                one.evaluations,
                f"{one.evaluations} calls in evaluation mode changed the running statistics",
                "leave running statistics alone outside of training",
            )


RULE = add(
    Rule(
        CODE,
        "moved-in-evaluation",
        __doc__ or "",
        check,
        fires_on=(model(layer(moved_in_evaluation=True)),),
        silent_on=(
            model(),
            model(layer(moved_in_evaluation=True, by_batch=(True, True))),
        ),
    )
)
