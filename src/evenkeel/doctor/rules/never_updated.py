"""Running statistics were never updated.

Symptom:   training goes well; in inference the network is as good as a guess, whatever the input.
Measured:  how many channels still hold mean 0 and variance 1, exactly, in a layer whose model was
           trained. A model whose weights are also those of a new one is only noted: nothing was lost.
Why:       inference divides by statistics that nobody took: the layer passes its input through.
Do:        train in training mode, and let the statistics move: model.train(); in TensorFlow 1 run
           UPDATE_OPS with the train step. To repair what was trained, take them from data:
           evenkeel.recalibrate(model, batches).
Source:    the first question of the seed documents; tensorflow#1122 and twenty threads like it.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import ERROR, NOTE, Finding
from evenkeel.doctor.measures import at_initial, stands
from evenkeel.doctor.repairs import take_anew
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK101"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer at its initial values."""
    for one in trace.layers:
        if at_initial(one) and not stands(one):
            yield Finding(
                CODE,
                ERROR if trace.trained else NOTE,
                one.path,
                len(one.running_mean or ()),
                f"all {len(one.running_mean or ())} running means are 0, all variances 1: never updated"
                + ("" if trace.trained else ", as in a new model"),
                "train in training mode, or evenkeel.recalibrate(model, batches)",
            )


_initial = layer(running_mean=(0.0,) * 4, running_var=(1.0,) * 4, updates=0)
RULE = add(
    Rule(
        CODE,
        "never-updated",
        __doc__ or "",
        check,
        fires_on=(model(_initial), model(_initial, trained=False)),
        silent_on=(
            model(),
            model(layer(running_mean=None, running_var=None, by_batch=(True, True))),
        ),
        repair=take_anew,
    )
)
