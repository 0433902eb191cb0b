"""The mean is so large that its own rounding is in the variance.

Symptom:   noise, NaN or a wrong variance in some framework and not in another; raw sensor values,
           timestamps, images that were not centred.
Measured:  mean² / var of the worst channel: E[x²] − E[x]² loses as many digits; and how many steps of
           the input's own dtype its standard deviation is.
Threshold: less than 16 steps of the input's dtype in a standard deviation: the input itself is lost,
           whatever the kernel does. A note from mean² / var of 10⁶ on, where a framework that takes
           E[x²] − E[x]² in float32 is off by a tenth.
Do:        subtract a constant from the data first. evenkeel's kernels take the variance about the mean.
Source:    Chan, Golub & LeVeque 1983; flax#1491; docs/numerics.md.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import NOTE, WARNING, Finding
from evenkeel.doctor.measures import pooled
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import calls, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK114"
EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
STEPS = 16
LARGE = 1e6


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer whose channels vary little about a large mean."""
    for one in trace.layers:
        if not one.calls:
            continue
        mean, var = pooled(one)
        alive = var > 0
        if not alive.any():
            continue
        worst = float((mean[alive] ** 2 / var[alive]).max())
        steps = 1 / (worst**0.5 * EPSILON.get(one.input_dtype, 2.0**-23)) if worst else LARGE
        if steps < STEPS or worst >= LARGE:
            yield Finding(
                CODE,
                WARNING if steps < STEPS else NOTE,
                one.path,
                worst,
                f"mean² is {worst:.1e} times the variance: a standard deviation is {steps:.3g} steps "
                f"of {one.input_dtype}",
                "subtract a constant from the data first",
            )


RULE = add(
    Rule(
        CODE,
        "cancellation",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(calls=calls(mean=1e4, var=1.0), running_mean=(1e4,) * 4)),
            model(layer(calls=calls(mean=300.0), input_dtype="bfloat16")),
        ),
        silent_on=(
            model(),
            model(layer(calls=calls(mean=100.0))),
        ),
    )
)
