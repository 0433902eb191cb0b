"""observe: run a model on a few batches and write down what its batch-norm layers did.

The only part of the doctor that touches the model, which is afterwards as it was.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

from torch import nn

from evenkeel.doctor.borrowed import borrowed
from evenkeel.doctor.feeding import are_classes, inputs_of, labels_of, logits_of, size_of
from evenkeel.doctor.layers import About, layer_of, meant_to_stand_still, was_trained
from evenkeel.doctor.measures import drift, has_drift, is_far
from evenkeel.doctor.passes import Passes, Ways
from evenkeel.doctor.recording import tensors_of
from evenkeel.doctor.scores import scores_of
from evenkeel.doctor.trace import Layer, Trace
from evenkeel.doctor.workers import workers_of
from evenkeel.errors import BadData, BadOption, EmptyBatch
from evenkeel.surgery.recalibrate import check_batches

LIMIT = 8  # batches; more tell no more of the layers


def observe(model: nn.Module, batches: Iterable[Any], ways: Ways, limit: int = LIMIT) -> Trace:
    """The trace of ``model`` on the first ``limit`` batches.

    Training passes in the modes that ``model.train()`` gives (the first with a backward pass), then
    evaluation passes in those of ``model.eval()``, then some by the batches' statistics.
    """
    if not isinstance(model, nn.Module):
        raise BadOption("this takes a model", got=type(model).__name__, do="give a torch.nn.Module")
    check_batches(batches)
    if limit < 1 or (ways.steps or 0) < 0:
        raise BadOption(
            "limit counts batches, steps those of the training",
            got=f"limit={limit}, steps={ways.steps}",
            do="give a limit of 1 or more, steps of 0 or more",
        )
    taken = list(islice(batches, limit))
    _check_numbers(taken)
    if not taken:
        raise EmptyBatch(
            "there was no batch to look at",
            got="batches that are empty",
            do="give a loader, or a list of batches, not one that has run through",
        )
    still, trained = meant_to_stand_still(model), was_trained(model, ways.steps)
    with borrowed(model, ways.optimizer, trains=ways.step is not None) as kept:
        passes = Passes(model, taken, ways, kept)
        with passes.watch.watching():
            passes.run()
            about = About(passes.recording, ways.optimizer, model, still, passes.moved)
            trace = _trace(model, about, passes, trained)
            passes.by_batch(_worth(trace, taken))
    seen, sizes = passes.watch.seen, sum(trace.sizes)
    layers = tuple(
        replace(layer, var_without_dropout=seen[layer.path].var_without_dropout)
        if seen[layer.path].var_without_dropout
        else layer
        for layer in trace.layers
    )
    return replace(
        trace,
        layers=layers,
        scores=scores_of(taken, passes.outputs, passes.scored, ways.loss),
        workers=workers_of(layers, sizes),
    )


def _trace(model: nn.Module, about: About, passes: Passes, trained: bool | None) -> Trace:
    """What training and evaluation showed."""
    ways, taken = passes.ways, passes.batches
    layers = tuple(layer_of(s, passes.watch.seen[s.path], about) for s in passes.watch.layers)
    return Trace(
        subject=type(model).__name__,
        layers=layers,
        trained=trained,
        steps=ways.steps,
        sizes=tuple(size_of(batch) for batch in taken),
        forwards_per_step=passes.forwards_per_step,
        alone=passes.alone,
        bare=_bare(layers, passes.called),
        classes=_classes(taken, passes.outputs),
        failure=passes.failure,
        origin=ways.origin,
    )


def _worth(trace: Trace, batches: list[Any]) -> int:
    """How many batches are run by their own statistics: what a drift costs is told of two.

    Each is a forward more, so none runs where nobody would read of it.
    """
    if any(has_drift(layer, trace) and is_far(drift(layer)) for layer in trace.layers):
        return 2
    labelled = any(labels_of(batch) is not None for batch in batches)
    return int(labelled or any(layer.flow and layer.flow.dropout for layer in trace.layers))


def _check_numbers(batches: list[Any]) -> None:
    """Nothing measured on NaN can be compared: every rule would be silent."""
    for index, batch in enumerate(batches):
        for x in tensors_of(inputs_of(batch)):
            if x.is_floating_point() and bool(x.isnan().any()):
                raise BadData(
                    "a batch with NaN tells nothing of the model",
                    got=f"batch {index}: {int(x.isnan().sum())} of {x.numel()} values are NaN",
                    do="leave the batch out, and look where its values come from",
                )


def _bare(layers: tuple[Layer, ...], called: set[str]) -> tuple[str, ...]:
    """Layers that evaluation skips although it runs the linear operation before them."""
    return tuple(
        layer.path
        for layer in layers
        if layer.calls and not layer.evaluations and layer.flow and layer.flow.before_path in called
    )


def _classes(batches: list[Any], outputs: list[Any]) -> int | None:
    """The number of classes, where the labels number the outputs' columns."""
    for batch, given in zip(batches, outputs, strict=False):
        logits = logits_of(given)
        if logits is not None and are_classes(labels_of(batch), logits):
            return logits.shape[1]
    return None
