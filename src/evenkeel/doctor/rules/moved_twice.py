"""Running statistics move more than once a step.

Symptom:   the averages forget twice as fast as the momentum says; two passes of one step disagree.
Measured:  the most moves in one training step, against the calls that one forward makes.
Why:       gradient checkpointing runs the forward again in the backward pass; a GAN or a siamese
           network runs it twice a step. torch's layers count both.
Do:        ek.convert(model): evenkeel's layers know a recomputation and do not move in it. Where one
           step shows a network two populations, give each its statistics: ek.convert(to="streams").
Source:    pytorch#96136; fairscale#1035; the momentum hack 1 − √(1 − m) of many repositories.
"""

from collections.abc import Iterator

from torch import nn

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import flow, layer, model
from evenkeel.doctor.trace import Trace
from evenkeel.surgery.convert import convert

CODE = "EK106"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that moved more often than it was called in one forward."""
    for one in trace.layers:
        moves, calls = max(one.moves, default=0), one.flow.calls if one.flow else 1
        if moves > calls:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                moves,
                f"the running statistics moved {moves} times in one step, for {calls} call a forward",
                "ek.convert(model), whose layers stand still in a recomputation",
            )


def repair(model: nn.Module, found: Finding, batches: object) -> None:
    """The layer becomes one of evenkeel's."""
    convert(model.get_submodule(found.place), inplace=True)


RULE = add(
    Rule(
        CODE,
        "moved-twice",
        __doc__ or "",
        check,
        fires_on=(model(layer(moves=(2, 1, 1, 1))),),
        silent_on=(
            model(),
            model(layer(moves=(3,) * 8, flow=flow(calls=3))),
        ),
        repair=repair,
    )
)
