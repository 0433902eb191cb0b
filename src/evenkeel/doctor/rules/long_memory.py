"""The average remembers longer than the training lasted.

Symptom:   inference is bad after a short training and gets better by itself with more steps.
Measured:  the share of the initial values (mean 0, variance 1) that is still in the running
           statistics: (1 − momentum) to the number of updates. Statistics that agree with the batches
           were taken from data since (recalibrate), whatever the counter says.
Threshold: 10 %. With 0.001 (a decay of 0.999) and 200 steps it is 82 %.
Do:        evenkeel.recalibrate(model, batches) now; a larger momentum, or a zero-debiased average
           (running=ek.ZeroDebiasedEma()), in the next training.
Source:    Ioffe & Szegedy 2015, section 3.1 takes averages over the data; contrib's decay of 0.999.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import WARNING, Finding
from evenkeel.doctor.measures import LOST, at_initial, remaining, stands
from evenkeel.doctor.repairs import take_anew
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK104"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer whose average is still near its beginning."""
    for one in trace.layers:
        share = remaining(one, trace.steps)
        if share > LOST and not at_initial(one) and not stands(one) and not one.frozen:
            yield Finding(
                CODE,
                WARNING,
                one.path,
                share,
                f"{share:.0%} of the running statistics are still the initial values: momentum "
                f"{one.momentum:g}, {one.updates or trace.steps} updates",
                "evenkeel.recalibrate(model, batches); train with a larger momentum",
            )


RULE = add(
    Rule(
        CODE,
        "long-memory",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(momentum=0.001, updates=200, running_mean=(0.09,) * 4)),
            model(layer(momentum=0.01, updates=None, running_mean=(0.32,) * 4), steps=100),
            model(layer(momentum=0.001, updates=200, calls=())),
        ),
        silent_on=(
            model(),
            model(layer(momentum=0.001, updates=200)),  # statistics of the batches, however counted
            model(layer(momentum=0.001, updates=200, running_mean=(0.09,) * 4, debiased=True)),
            model(layer(momentum=None, updates=20, running_mean=(0.09,) * 4)),
        ),
        repair=take_anew,
    )
)
