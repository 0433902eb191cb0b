"""The length of a layer's vectors is no kernel's number of channels.

Symptom:   parameters per activation instead of per feature map; a port that fits nowhere.
Measured:  the length of the running mean, in a checkpoint none of whose kernels has so many outputs or
           inputs; the lengths of a layer's vectors, where they are not the same.
Do:        look at the axis that was normalized: a convolution's is that of its feature maps.
Source:    Ioffe & Szegedy 2015, section 3.2.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Checkpoint, Trace

CODE = "EK702"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer whose channels no kernel has."""
    if trace.checkpoint is None:
        return
    sizes = {size for shape in trace.checkpoint.kernels.values() for size in shape}
    for one in trace.layers:
        vectors = (one.running_mean, one.running_var, one.weight, one.bias)
        lengths = sorted({len(vector) for vector in vectors if vector is not None})
        if len(lengths) > 1:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                lengths[-1],
                f"vectors of {' and '.join(map(str, lengths))} values in one layer",
                "look at how the file was put together: these are of different layers",
            )
        elif sizes and one.channels and one.channels not in sizes:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                one.channels,
                f"{one.channels} channels, and no kernel has so many inputs or outputs",
                "look at the axis that was normalized",
            )


RULE = add(
    Rule(
        CODE,
        "no-such-kernel",
        __doc__ or "",
        check,
        fires_on=(
            Trace(
                kind="checkpoint",
                layers=(layer(calls=(), channels=784, weight=None),),
                checkpoint=Checkpoint({"conv": (3, 3, 1, 16)}),
            ),
            Trace(
                kind="checkpoint",
                layers=(layer(calls=(), weight=(1.0, 2.0, 3.0)),),
                checkpoint=Checkpoint({"conv": (3, 3, 1, 4)}),
            ),
        ),
        silent_on=(
            model(),
            Trace(
                kind="checkpoint",
                layers=(layer(calls=(), channels=16, weight=None),),
                checkpoint=Checkpoint({"conv": (3, 3, 1, 16)}),
            ),
        ),
    )
)
