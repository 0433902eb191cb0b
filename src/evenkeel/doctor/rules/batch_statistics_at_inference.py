"""Batch statistics are used at inference.

Symptom:   an image alone gets another answer than in a batch; results depend on the batch size.
Measured:  the largest difference between the first image alone and in its batch, over the largest
           value, in evaluation mode. inf: the image alone is an error.
Why:       the layer keeps no running statistics (track_running_stats=False), or stays in training mode
           after model.eval(): a train() of its own, a model whose eval() does not reach it.
Do:        keep running statistics, and call model.eval() before inference; this is the seed documents'
           check of 100 images one at a time.
Source:    seed 001; pytorch#4741.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from evenkeel.doctor.finding import ERROR, Finding
from evenkeel.doctor.repairs import take_anew
from evenkeel.doctor.rules.rule import Rule, add
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.trace import Trace

CODE = "EK201"


def check(trace: Trace) -> Iterator[Finding]:
    """A finding for each layer that looks at the batch in evaluation mode."""
    alone = float("nan") if trace.alone is None else trace.alone
    for one in trace.layers:
        if one.by_batch[1] and one.evaluations:
            moved = "; its running statistics move too" if one.moved_in_evaluation else ""
            yield Finding(
                CODE,
                ERROR,
                one.path,
                alone,
                f"in evaluation mode an image alone and in its batch differ by {alone:.1%} of the "
                f"largest value{moved}",
                "keep running statistics, and let model.eval() reach the layer",
            )


def repair(model: nn.Module, found: Finding, batches: Iterable[Any] | None) -> None:
    """Running statistics, where there are none, from data."""
    layer = model.get_submodule(found.place)
    if layer._buffers.get("running_mean") is None:
        _give_statistics(layer)
    layer.train(model.training)  # as its neighbours: no layer that is meant to stand still
    take_anew(model, found, batches)


def _give_statistics(layer: nn.Module) -> None:
    size = int(layer.num_features)  # type: ignore[arg-type]  # torch's classes declare it
    vars(layer)["track_running_stats"] = True
    device = next((p.device for p in layer.parameters()), None)
    layer.register_buffer("running_mean", torch.zeros(size, device=device))
    layer.register_buffer("running_var", torch.ones(size, device=device))
    layer.register_buffer("num_batches_tracked", torch.tensor(0, device=device))


RULE = add(
    Rule(
        CODE,
        "batch-statistics-at-inference",
        __doc__ or "",
        check,
        fires_on=(model(layer(by_batch=(True, True)), alone=0.4),),
        silent_on=(model(),),
        repair=repair,
    )
)
