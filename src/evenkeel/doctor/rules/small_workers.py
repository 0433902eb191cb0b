"""Workers take statistics of small batches by themselves.

Symptom:   more workers with smaller batches each train worse, although the total is the same.
Measured:  the fewest values per channel in one worker, and the number of workers.
Threshold: fewer than 32 values, as in EK204.
Do:        ek.convert(model, sync=True): one set of statistics over all workers, also on CPU.
Source:    Peng et al. 2018, arXiv:1711.07240 (MegDet).
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.measures import fewest
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import WORKERS, calls, layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK501"
SOME = 32


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer with few values in a worker, and none from the others."""
    for one in trace.layers if len(trace.workers) > 1 else ():
        count = fewest(one)
        if 0 < count < SOME and not one.sync and one.by_batch[0]:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                count,
                f"{count} values per channel in each of {len(trace.workers)} workers, by themselves",
                "ek.convert(model, sync=True)",
            )


RULE = add(
    Rule(
        CODE,
        "small-workers",
        __doc__ or "",
        check,
        fires_on=(model(layer(calls=calls(count=16)), workers=WORKERS),),
        silent_on=(
            model(workers=WORKERS),
            model(layer(calls=calls(count=16))),
            model(layer(calls=calls(count=16), sync=True), workers=WORKERS),
        ),
    )
)
