"""The wrong axis is normalized.

Symptom:   training works somewhat, and other lengths or sizes of input are errors.
Measured:  the axis at which the operation before put its channels, against the axis that the layer
           takes; for the model's own input, whether it looks like [N, H, W, colours].
Why:       torch's layers take axis 1. A Linear leaves its features last, TensorFlow its colours; where
           the sizes happen to fit there is no error, and every position is a channel.
Do:        BatchNorm(channel_axis=-1) of evenkeel, or permute before the layer.
Source:    the question "which axes" of the seed documents; keras#1921.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import flow, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK303"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that takes another axis than its input's channels."""
    for one in trace.layers:
        flow = one.flow
        if flow is None or flow.axis is None:
            continue
        last = flow.raw_channels_last and flow.axis == 1
        moved = flow.input_axis is not None and flow.input_axis != flow.axis
        if moved or last:
            where = f"{flow.before_path or flow.before} has its channels on axis {flow.input_axis}"
            yield Finding(
                CODE,
                ERROR,
                one.path,
                flow.axis,
                f"axis {flow.axis} is normalized, and "
                + ("the input looks like [N, H, W, colours]" if last else where),
                "channel_axis=-1 in evenkeel's layers, or permute the input",
            )


RULE = add(
    Rule(
        CODE,
        "wrong-axis",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(flow=flow(input_axis=2))),
            model(layer(flow=flow(before="input", input_axis=None, raw_channels_last=True))),
        ),
        silent_on=(
            model(),
            model(layer(flow=flow(input_axis=3, axis=3))),
            model(layer(flow=flow(axis=None))),
        ),
    )
)
