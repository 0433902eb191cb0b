"""A worker skips a layer.

Symptom:   synchronized training hangs, or runs into a timeout; otherwise workers drift apart.
Measured:  calls of the layer, worker by worker.
Do:        let every worker run the same layers in each step: an empty batch still has to go through.
Source:    pytorch#44957; detectron2#366.
"""

from collections.abc import Iterator
from dataclasses import replace

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import WORKERS, model
from evenkeel.doctor.trace import Trace

CODE = "EK503"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that some workers call less often."""
    for one in trace.layers:
        calls = [worker.calls.get(one.path, 0) for worker in trace.workers]
        if calls and min(calls) != max(calls):
            yield Finding(
                CODE,
                ERROR,
                one.path,
                max(calls) - min(calls),
                f"called {', '.join(map(str, calls))} times by workers 0 to {len(calls) - 1}",
                "let every worker run the same layers in each step",
            )


RULE = add(
    Rule(
        CODE,
        "worker-skips",
        __doc__ or "",
        check,
        fires_on=(model(workers=(WORKERS[0], replace(WORKERS[1], calls={"bn": 0}))),),
        silent_on=(
            model(),
            model(workers=WORKERS),
        ),
    )
)
