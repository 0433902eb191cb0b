"""Padding is inside of the statistics.

Symptom:   results depend on how long the longest sequence of a batch is.
Measured:  the share of positions of [N, C, L] or [N, L, C] input that repeat the last position of their
           sequence exactly, where the number of them differs between sequences.
Threshold: 5 % of the positions: a variance is then off by about as much as its own noise at 800 values.
Do:        give the layer the mask: evenkeel's take forward(x, mask=...); or normalize packed values.
Source:    pytorch#70529; tensorflow#30161.
"""

from collections.abc import Iterator
from dataclasses import replace

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import calls, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK110"
SHARE = 0.05


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer whose sequences end in repetition."""
    for one in trace.layers:
        share = max((call.padding for call in one.calls), default=0.0)
        if share > SHARE:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                share,
                f"{share:.0%} of the positions are padding, and count in the statistics",
                "pass mask= to evenkeel's layer, or pack the sequences",
            )


RULE = add(
    Rule(
        CODE,
        "padding",
        __doc__ or "",
        check,
        fires_on=(model(layer(calls=tuple(replace(c, padding=0.3) for c in calls()))),),
        silent_on=(
            model(),
            model(layer(calls=tuple(replace(c, padding=0.01) for c in calls()))),
        ),
    )
)
