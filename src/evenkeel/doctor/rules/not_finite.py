"""Running statistics are not finite.

Symptom:   inference gives NaN for every input, although training goes on as if nothing were wrong.
Measured:  the number of running means and variances that are NaN, infinite, or negative (a variance).
Why:       one batch with an infinite value, often an overflow in half precision, enters the average
           and never leaves it. evenkeel's layers leave such a batch out and warn.
Do:        find the batch (a loss that jumps), then take the statistics anew:
           evenkeel.recalibrate(model, batches); and ek.convert(model) against the next one.
Source:    pytorch#1206, #115500; tensorflow/models#2123.
"""

from collections.abc import Iterator
from math import inf, isfinite, nan

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.repairs import take_anew
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK103"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer with a statistic that is no number."""
    for one in trace.layers:
        bad = sum(not isfinite(v) for v in one.running_mean or ())
        bad += sum(not isfinite(v) or v < 0 for v in one.running_var or ())
        if bad:
            whole = len(one.running_mean or ()) + len(one.running_var or ())
            yield Finding(
                CODE,
                ERROR,
                one.path,
                bad,
                f"{bad} of {whole} running statistics are NaN, infinite or negative variances",
                "evenkeel.recalibrate(model, batches); find the batch that brought them",
            )


RULE = add(
    Rule(
        CODE,
        "not-finite",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(running_mean=(nan, 0.0, 0.0, 0.0))),
            model(layer(running_var=(1.0, inf, -1.0, 1.0))),
        ),
        silent_on=(model(), model(layer(running_var=(0.0, 1.0, 1.0, 1.0)))),
        repair=take_anew,
    )
)
