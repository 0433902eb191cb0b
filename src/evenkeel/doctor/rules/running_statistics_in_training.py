"""Running statistics are used in training.

Symptom:   training is slow or diverges as if there were no normalization.
Measured:  whether the layer normalizes by the batch in the passes after model.train(); weight and bias
           that require a gradient say that it was meant to train.
Do:        model.train() has to reach the layer: look for a train() that is overridden, or an eval()
           inside of forward. If it shall be frozen, say so: ek.freeze(model, path).
Source:    Ioffe & Szegedy 2015, section 3: gradients have to go through the batch's statistics.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK202"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer in inference mode in training passes."""
    for one in trace.layers:
        if one.calls and not one.by_batch[0] and not one.frozen and one.kind != "FrozenBatchNorm":
            yield Finding(
                CODE,
                WARNING,
                one.path,
                len(one.calls),
                f"all {len(one.calls)} calls in training mode normalized by running statistics",
                "let model.train() reach the layer, or ek.freeze(model, path)",
            )


RULE = add(
    Rule(
        CODE,
        "running-statistics-in-training",
        __doc__ or "",
        check,
        fires_on=(model(layer(by_batch=(False, False))),),
        silent_on=(
            model(),
            model(layer(by_batch=(False, False), frozen="no gradient")),
            model(layer(by_batch=(False, False), kind="FrozenBatchNorm")),
        ),
    )
)
