"""Running statistics stand still in training.

Symptom:   training is good, inference is that of the initial values or of an older network.
Measured:  in how many training steps a layer in training mode moved its running statistics: none.
Why:       a momentum of 0 (often TensorFlow's decay, turned round once too often), buffers that a
           wrapper swaps, track_running_stats switched off after the layer was built.
Do:        momentum=0.1; let num_batches_tracked and the buffers be the layer's own. A layer that shall
           stand still belongs in inference mode: ek.freeze(model, path).
Source:    torch's BatchNorm: running = (1 − momentum) · running + momentum · batch.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.measures import stands
from evenkeel.doctor.repairs import set_momentum, take_anew
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK108"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that should move and does not."""
    for one in trace.layers:
        if stands(one) and not one.frozen:
            yield Finding(
                CODE,
                ERROR,
                one.path,
                0,
                f"moved in 0 of {len(one.moves)} training steps, with momentum {one.momentum}",
                "momentum=0.1, or ek.freeze(model) if it shall stand still",
            )


def repair(model: nn.Module, found: Finding, batches: Iterable[Any] | None) -> None:
    """Torch's momentum, and statistics from data."""
    set_momentum(model, found.place, 0.1)
    take_anew(model, found, batches)


RULE = add(
    Rule(
        CODE,
        "not-moved",
        __doc__ or "",
        check,
        fires_on=(model(layer(moves=(0,) * 8, momentum=0.0)),),
        silent_on=(
            model(),
            model(layer(moves=(0,) * 8, by_batch=(False, False))),
            model(layer(moves=())),
        ),
        repair=repair,
    )
)
