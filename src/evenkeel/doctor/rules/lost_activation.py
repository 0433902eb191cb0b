"""A converter lost the activation.

Symptom:   a converted network computes something else, and trains worse.
Measured:  an Identity that ek.convert put in the place of an activation, right behind a layer that has
           none inside. Other Identities are a model's own, and mean nothing.
Why:       evenkeel's layers hold the activation; code that knows only torch's classes replaces the
           layer by a plain one and drops it.
Do:        convert back before: ek.convert(model, to="torch"). The fix puts the activation back.
Source:    pytorch#187298; timm#1254.
"""

from collections.abc import Iterator

from torch import nn

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import flow, layer, model
from evenkeel.doctor.trace import Trace
from evenkeel.surgery.change import WAS

CODE = "EK311"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer whose activation is gone."""
    for one in trace.layers:
        if one.flow and one.flow.lost and not one.activation:
            yield Finding(
                CODE,
                ERROR,
                one.path,
                1,
                f"{one.flow.lost} is an Identity, and {one.kind} has no activation inside",
                "put the activation back; convert with ek.convert(model, to=...)",
                one.flow.lost,
            )


def repair(model: nn.Module, found: Finding, batches: object) -> None:
    """The activation that was there, from what `convert` remembers."""
    gone = model.get_submodule(found.detail)
    gone.__class__ = vars(gone).pop(WAS)


RULE = add(
    Rule(
        CODE,
        "lost-activation",
        __doc__ or "",
        check,
        fires_on=(model(layer(flow=flow(after="", lost="relu"))),),
        silent_on=(
            model(),
            model(layer(flow=flow(after="", lost="relu"), activation="relu")),
        ),
        repair=repair,
    )
)
