"""Running statistics are not those of the batches.

Symptom:   good in training, bad in inference; worse on some data than on other.
Measured:  for each layer the average over channels of |batch mean − running mean| / batch standard
           deviation, and of |log(batch variance / running variance)|, from training passes, where every
           layer gets what it gets in training: a layer is not blamed for one before it.
Threshold: half a standard deviation, or a factor of 2 in the variance, and three times what chance
           does (the noise from batch to batch, as the momentum averages it). Half a standard deviation
           is where `evenkeel train` fails its own check; below, the seed networks lose no accuracy.
           An error where the batches' statistics bring at least 10 points of accuracy back.
Do:        take the statistics from data as inference sees it: evenkeel.recalibrate(model, batches).
           If they drift again, weights move faster than the average follows: lower the learning rate
           at the end, or raise the momentum.
Source:    Wu & Johnson 2021, arXiv:2105.07576, section 3; pytorch#4741, #5406.
"""

from collections.abc import Iterator

from evenkeel.doctor.finding import ERROR, WARNING, Finding
from evenkeel.doctor.measures import drift, has_drift, is_far
from evenkeel.doctor.repairs import take_anew
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import calls, layer, model
from evenkeel.doctor.trace import Scores, Trace

CODE = "EK102"
POINTS = 0.1


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer whose statistics are far from the batches'."""
    lost = _lost(trace.scores)
    for one in trace.layers:
        if not has_drift(one, trace):
            continue
        found = drift(one)
        if is_far(found):
            yield Finding(
                CODE,
                ERROR if lost >= POINTS else WARNING,
                one.path,
                max(found.mean, found.var),
                f"running means are {found.mean:.2f} standard deviations from the batches', "
                f"variances a factor of {2.718281828 ** min(found.var, 80):.3g}"
                + _gap(trace.scores),
                "evenkeel.recalibrate(model, batches)",
            )


def _lost(scores: Scores | None) -> float:
    if scores is None or scores.accuracy is None or scores.accuracy_by_batch is None:
        return 0.0
    return scores.accuracy_by_batch - scores.accuracy


def _gap(scores: Scores | None) -> str:
    if scores is None:
        return ""
    accuracy = (
        f" and accuracy {scores.accuracy:.0%} for {scores.accuracy_by_batch:.0%}"
        if scores.accuracy is not None and scores.accuracy_by_batch is not None
        else ""
    )
    return (
        f"; the model: loss {scores.loss:.3g} for {scores.loss_by_batch:.3g} by batch statistics"
        + accuracy
    )


_scores = Scores(2.3, 0.1, 0.2, 0.95, 512)
RULE = add(
    Rule(
        CODE,
        "drift",
        __doc__ or "",
        check,
        fires_on=(
            model(layer(running_mean=(2.0, 2.1, 1.9, 2.0))),
            model(layer(running_var=(4.0, 4.1, 3.9, 4.0)), scores=_scores),
        ),
        silent_on=(
            model(),
            model(layer(running_mean=(0.7, 0.7, 0.7, 0.7))),
            model(layer(running_mean=(1.1,) * 4, calls=calls(count=4, swing=2.0))),
        ),
        repair=take_anew,
    )
)
