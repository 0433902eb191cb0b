"""A frozen layer moves.

Symptom:   fine-tuning with "frozen" normalization is worse than it should be; the frozen part of the
           network gives other features after each epoch.
Measured:  moves of the running statistics in training passes, after model.train(), of a layer whose
           weight and bias require no gradient, or that was put into inference mode by itself.
Why:       requires_grad=False stops gradients, not running statistics; layer.eval() lasts until the
           next model.train().
Do:        ek.freeze(model, path), which no train() thaws.
Source:    pytorch#86590; ultralytics#8753; Keras' own change of meaning, keras#9522.
"""

from collections.abc import Iterator

from torch import nn

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace
from evenkeel.surgery.freeze import freeze

CODE = "EK109"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that was meant to stand still and moved."""
    for one in trace.layers:
        if one.frozen and any(one.moves):
            yield Finding(
                CODE,
                WARNING,
                one.path,
                sum(one.moves),
                f"{one.frozen}, and its running statistics moved {sum(one.moves)} times "
                f"in {len(one.moves)} training steps",
                "ek.freeze(model, only=path), which model.train() cannot thaw",
            )


def repair(model: nn.Module, found: Finding, batches: object) -> None:
    """Frozen, by its statistics as they are."""
    freeze(model, found.place, inplace=True)


RULE = add(
    Rule(
        CODE,
        "thaws",
        __doc__ or "",
        check,
        fires_on=(model(layer(frozen="its weight and bias require no gradient")),),
        silent_on=(
            model(),
            model(
                layer(frozen="it stands in inference mode", moves=(0,) * 8, by_batch=(False, False))
            ),
        ),
        repair=repair,
    )
)
