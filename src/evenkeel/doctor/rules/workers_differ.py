"""Workers hold different running statistics.

Symptom:   the result of inference depends on which worker is asked, or whose checkpoint was saved.
Measured:  the largest distance of a worker's running mean from the first worker's, in standard
           deviations.
Threshold: 0.01: more than rounding, and less than anything that inference shows.
Do:        synchronized statistics, or average them before saving; DistributedDataParallel's
           broadcast_buffers=True sends those of the first worker at the next forward.
Source:    pytorch#1051; timm's --dist-bn.
"""

from collections.abc import Iterator
from dataclasses import replace

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import WORKERS, model
from evenkeel.doctor.trace import Trace

CODE = "EK502"
FAR = 0.01


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that is not the same in all workers."""
    for one in trace.layers:
        apart = {worker.rank: worker.spread.get(one.path, 0.0) for worker in trace.workers}
        rank = max(apart, key=lambda r: apart[r], default=0)
        if apart and apart[rank] > FAR:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                apart[rank],
                f"worker {rank} is {apart[rank]:.2f} standard deviations from the first",
                "synchronize statistics, or average them before saving",
            )


RULE = add(
    Rule(
        CODE,
        "workers-differ",
        __doc__ or "",
        check,
        fires_on=(model(workers=(WORKERS[0], replace(WORKERS[1], spread={"bn": 0.4}))),),
        silent_on=(
            model(),
            model(workers=WORKERS),
        ),
    )
)
