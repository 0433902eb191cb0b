"""The variance is far below eps.

Symptom:   a layer's output is far smaller than its weight says; deep networks fade.
Measured:  the share of channels whose batch variance is less than a hundredth of eps: the layer
           divides them by √eps and not by their deviation, and shrinks them to a tenth or less.
Threshold: half of the channels for a warning; some for a note. A channel that is exactly constant, as a
           pixel at the border of all images, has no scale to be wrong and does not count.
Do:        look at the scale of what comes in (an initialization with too small a deviation, inputs
           that were divided by 255 twice), or take a smaller eps.
Source:    the definition: y = (x − mean) / √(var + eps).
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import NOTE, WARNING, Finding
from evenkeel.doctor.measures import pooled
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import calls, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK112"
FAR = 100
MOST = 0.5


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer with channels that eps flattens."""
    for one in trace.layers:
        if not one.calls:
            continue
        _, var = pooled(one)
        share = float(((var > 0) & (var < one.eps / FAR)).mean())
        if share > 0:
            yield Finding(
                CODE,
                WARNING if share >= MOST else NOTE,
                one.path,
                share,
                f"{share:.0%} of the channels vary less than a {FAR}th of eps ({one.eps:g}); "
                f"the least by {float(var[var > 0].min()):.1e}",
                "look at the scale of the input, or take a smaller eps",
            )


RULE = add(
    Rule(
        CODE,
        "variance-below-eps",
        __doc__ or "",
        check,
        fires_on=(model(layer(calls=calls(var=1e-9))),),
        silent_on=(
            model(),
            model(layer(calls=calls(var=1e-6))),
        ),
    )
)
