"""recalibrate: running statistics that are those of the data, not of an average along the way."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from evenkeel.errors import BadData, BadOption, EmptyBatch
from evenkeel.nn import FrozenBatchNorm
from evenkeel.surgery.by_nodes import ByNodes, TooMuch, whole_graph
from evenkeel.surgery.gathering import METHODS, Gathering, Reached
from evenkeel.surgery.modes import inference
from evenkeel.surgery.progress import followed
from evenkeel.surgery.ranks import Ranks
from evenkeel.surgery.sites import Site, sites

Forward = Callable[[nn.Module, Any], Any]


def recalibrate(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Forward | None = None,
    layerwise: bool = False,
    method: str = "population",
    progress: bool = True,
    inplace: bool = False,
    memory: int = 2**30,
    group: Any = None,
) -> nn.Module:
    """``model`` with running statistics taken anew from ``batches``; nothing else changes.

    Math:    "population": mean and variance of all values, batches merged by their counts;
             "average": the plain average of the batches' means and of their variances, as in the
             paper's inference; Bessel's correction as the layer's own convention has it
    Shapes:  as the model's
    Dtypes:  as the model's; merged in f64, rounded once
    Error:   layer by layer: within 1e-6 of the float64 statistics of what reaches the layer, whatever
             the order and size of the batches. Joint: so for the first layer; the others see inputs
             that are normalized batch by batch, as in training, which depends on how the data is cut
    Raises:  BadOption, also for a tensor in the place of batches; BadData for a batch with NaN or
             infinity, or passes of different lengths; EmptyBatch without any batch; after any error or
             interruption the model is as it was
    Source:  Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 2; Wu & Johnson 2021, arXiv:2105.07576,
             section 3

    A batch is a tensor, a tuple or list whose first part is the input, or a mapping of named
    arguments; ``forward(model, batch)`` runs any other. ``inplace`` recalibrates the model itself.

    ``layerwise``: each layer sees what passed recalibrated layers, as in inference. Where the whole
    forward can be read as a graph, and what waits for later operations on all batches takes no more
    than ``memory`` bytes, every operation runs once. Else the data is gone through once for each layer
    and once more.

    The model runs in inference mode (no dropout) and gets its modes back. Frozen layers are left
    alone: FrozenBatchNorm, momentum 0, a layer in inference mode inside of a model in training mode.
    Averaged weights (EMA, SWA) have no statistics of their own: give the averaged model, such as
    torch's AveragedModel. ``group``: of torch.distributed, whose processes each give their part of the
    data and all get the same statistics, those of the whole.

    >>> model = recalibrate(nn.Sequential(nn.BatchNorm1d(1)), [torch.tensor([[1.0], [3.0]])])
    >>> model[0].running_mean, model[0].running_var
    (tensor([2.]), tensor([2.]))
    """
    _check(model, batches, method, layerwise)
    ranks = Ranks(group)
    target = model if inplace else copy.deepcopy(model)
    chosen = tuple(site for site in sites(target) if _moves(site.module, target))
    data = _Data(target, batches, forward, progress)
    with inference(target), torch.no_grad():
        gathered = None
        if layerwise and ranks.alone and forward is None:
            gathered = _in_one_pass(target, chosen, method, data, memory)
        if gathered is None:
            gathered = Gathering(chosen, method, ranks)
            with gathered:
                if layerwise:
                    _layer_by_layer(gathered, data, ranks)
                else:
                    _jointly(gathered, data, ranks)
    gathered.commit()
    return target


class _Data:
    """The batches, which must be as many in every pass."""

    def __init__(
        self, model: nn.Module, batches: Iterable[Any], forward: Forward | None, progress: bool
    ) -> None:
        self._model, self._batches, self._forward = model, batches, forward or _call
        self._progress, self._count = progress, 0

    def passed(self, gathering: Gathering) -> None:
        """Run the model on every batch."""
        for count, batch in enumerate(self, 1):
            gathering.begin(count)
            try:
                self._forward(self._model, batch)
            except Reached:
                continue
        gathering.finish()

    def __iter__(self) -> Iterator[Any]:
        count = 0
        for batch in followed(self._batches, self._progress):
            yield batch
            count += 1
        if not count:
            raise EmptyBatch(
                "there was no batch to take statistics of",
                got="batches that are empty",
                do="give a loader, or a list of batches, not one that has run through",
            )
        if self._count and count != self._count:
            raise BadData(
                "the batches are not the same in every pass",
                got=f"{self._count} batches at first, {count} later",
                do="give a list or a loader that begins anew each time it is asked",
            )
        self._count = count


def _jointly(gathering: Gathering, data: _Data, ranks: Ranks) -> None:
    """One pass, in which each layer normalizes by the batch."""
    gathering.jointly()
    with ranks.agreed():
        data.passed(gathering)


def _layer_by_layer(gathering: Gathering, data: _Data, ranks: Ranks) -> None:
    """One pass to see the order of the layers, then one for each."""
    gathering.layerwise()
    with ranks.agreed():
        data.passed(gathering)
    for site in gathering.order():
        gathering.only(site)
        with ranks.agreed():
            data.passed(gathering)
        gathering.settle(site)


def _in_one_pass(
    model: nn.Module, chosen: tuple[Site, ...], method: str, data: _Data, memory: int
) -> Gathering | None:
    """Layer by layer with every operation run once; None where that cannot be."""
    reading = whole_graph(model, chosen) if memory else None
    if reading is None:
        return None
    with Gathering(chosen, method, Ranks()) as gathering:
        gathering.directly()
        nodes = ByNodes(reading, chosen, gathering, memory)
        try:
            for batch in data:
                nodes.take(*given(batch))
            nodes.run()
        except TooMuch:
            return None
    return gathering


def _moves(layer: nn.Module, model: nn.Module) -> bool:
    """Whether a layer has running statistics that training would move."""
    if isinstance(layer, FrozenBatchNorm) or layer._buffers.get("running_mean") is None:
        return False
    stopped = getattr(layer, "momentum", None) == 0
    return not stopped and (layer.training or not model.training)


def given(batch: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """A batch as the arguments of a forward: its first part, or all of a mapping by name.

    >>> given([1.0, 2.0])
    Traceback (most recent call last):
    evenkeel.errors.BadOption: a batch is a tensor, a tuple or list that begins with one, ...
    """
    if isinstance(batch, Tensor):
        return (batch,), {}
    if isinstance(batch, Mapping):
        return (), batch
    if isinstance(batch, tuple | list) and batch and isinstance(batch[0], Tensor):
        return (batch[0],), {}
    raise BadOption(
        "a batch is a tensor, a tuple or list that begins with one, or a mapping of arguments",
        got=type(batch).__name__,
        do="give forward=, which runs the model on a batch: forward(model, batch)",
    )


def _call(model: nn.Module, batch: Any) -> Any:
    args, options = given(batch)
    return model(*args, **options)


def check_batches(batches: Any) -> None:
    """Raise BadOption for what is no batches: a tensor would be taken apart row by row."""
    is_many = hasattr(batches, "__iter__") or hasattr(batches, "__getitem__")
    if isinstance(batches, Tensor | Mapping | str) or not is_many:
        raise BadOption(
            "batches are a list, a loader, or what else gives one after the other",
            got=type(batches).__name__,
            do="give [batch] for a single one",
        )


def _check(model: nn.Module, batches: Iterable[Any], method: str, layerwise: bool) -> None:
    if not isinstance(model, nn.Module):
        raise BadOption("this takes a model", got=type(model).__name__, do="give a torch.nn.Module")
    if method not in METHODS:
        raise BadOption(
            "unknown method", got=repr(method), do=f"use {' or '.join(map(repr, METHODS))}"
        )
    check_batches(batches)
    if layerwise and isinstance(batches, Iterator):
        raise BadOption(
            "layer by layer goes through the batches many times, and an iterator ends with the first",
            got=type(batches).__name__,
            do="give a list or a loader",
        )
