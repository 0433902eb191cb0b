"""The momentum is on the wrong side.

Symptom:   inference changes from epoch to epoch, and depends on the last batches of training.
Measured:  the momentum: the weight of the new batch. 0.9 or more is the decay of TensorFlow or Keras,
           pasted into torch, where it keeps a tenth or less of all batches but the last.
Threshold: 0.5: an average that the last batch outweighs is none. In TensorFlow it is a decay of 0.5 or
           less. The layers' documentation of torch and TensorFlow say momentum for opposite sides.
Do:        give torch 1 − momentum: 0.01 for 0.99. Then evenkeel.recalibrate, or train on.
Source:    transformers#19454; pytorch/vision#8250; docs/conventions.md.
"""

from collections.abc import Iterator

from torch import nn

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.repairs import set_momentum
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK105"
HALF = 0.5


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer whose last batch outweighs all others."""
    for one in trace.layers:
        if one.momentum is not None and one.momentum >= HALF and one.running_mean is not None:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                one.momentum,
                f"momentum {one.momentum:g}: the last batch is {one.momentum:.1%} of the average",
                f"momentum={max(1 - one.momentum, 0.01):.3g}, the weight of the new batch",
            )


def repair(model: nn.Module, found: Finding, batches: object) -> None:
    """The other side's number; 0.1, torch's own, for a momentum of 1."""
    set_momentum(model, found.place, 1 - found.number or 0.1)


RULE = add(
    Rule(
        CODE,
        "momentum-side",
        __doc__ or "",
        check,
        fires_on=(model(layer(momentum=0.99)), model(layer(momentum=0.5))),
        silent_on=(model(), model(layer(momentum=None)), model(layer(momentum=0.3))),
        repair=repair,
    )
)
