"""Parameters or statistics are in half precision.

Symptom:   running statistics stop moving; NaN after an overflow.
Measured:  the spacing of the numbers about 1 of the dtype that holds them. With momentum 0.1 a change
           of less than five times that is rounded away.
Do:        keep batch-norm layers in float32: layer.float(); autocast leaves them there.
Source:    Micikevicius et al. 2018, arXiv:1710.03740, section 3; pytorch#61924.
"""

from collections.abc import Iterator

from torch import nn

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK401"
SPACING = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that holds half-precision numbers."""
    for one in trace.layers:
        held = {"parameters": one.dtype, "statistics": one.statistics_dtype}
        half = {what: dtype for what, dtype in held.items() if dtype in SPACING}
        if half:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                max(SPACING[dtype] for dtype in half.values()),
                " and ".join(f"{what} in {dtype}" for what, dtype in half.items())
                + f", whose numbers about 1 are {max(SPACING[d] for d in half.values()):.1e} apart",
                "layer.float()",
            )


def repair(model: nn.Module, found: Finding, batches: object) -> None:
    """The layer in float32."""
    model.get_submodule(found.place).float()


RULE = add(
    Rule(
        CODE,
        "half-precision",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(dtype="float16")),
            model(layer(statistics_dtype="bfloat16")),
        ),
        silent_on=(
            model(),
            model(layer(input_dtype="float16")),
        ),
        repair=repair,
    )
)
