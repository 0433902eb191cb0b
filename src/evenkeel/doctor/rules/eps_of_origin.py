"""eps is not that of the weights' origin.

Symptom:   a ported network is a little off, more so where variances are small.
Measured:  the largest relative change of 1 / √(running_var + eps) that the origin's eps would make.
Threshold: 0.1 % for a warning: what a deep network multiplies up to percents. Below, a note.
Do:        ek.convention(origin).eps. Say where weights are from: ek.diagnose(..., origin="tf.layers").
Source:    docs/conventions.md; tensorflow#42605.
"""

from collections.abc import Iterator

from torch import nn

from evenkeel.conventions import convention
from evenkeel.doctor.finding import NOTE, WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK402"
MUCH = 1e-3


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer with another eps than the origin's."""
    for one in trace.layers if trace.origin else ():
        eps = convention(trace.origin, rank=one.rank).eps
        if eps is None or one.eps == eps:
            continue
        change = max(abs(((v + one.eps) / (v + eps)) ** 0.5 - 1) for v in one.running_var or (1.0,))
        yield Finding(
            CODE,
            WARNING if change > MUCH else NOTE,
            one.path,
            change,
            f"eps {one.eps:g} is not the {eps:g} of {trace.origin}: outputs are off by {change:.2%}",
            f"eps={eps:g}",
            repr(eps),
        )


def repair(model: nn.Module, found: Finding, batches: object) -> None:
    """The origin's eps."""
    setattr(model.get_submodule(found.place), "eps", float(found.detail))  # noqa: B010  # of any class


RULE = add(
    Rule(
        CODE,
        "eps-of-origin",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(eps=1e-5, running_var=(0.01,) * 4), origin="tf.layers"),
            model(origin="tf.layers"),
        ),
        silent_on=(
            model(),
            model(layer(eps=1e-3), origin="tf.layers"),
        ),
        repair=repair,
    )
)
