"""Layers for several populations in the place of plain ones, and the way back to one of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from evenkeel.errors import BadOption, located
from evenkeel.nn import BatchNorm, ConditionalBatchNorm, StreamBatchNorm
from evenkeel.surgery.change import OURS, Journal
from evenkeel.surgery.kinds import refused
from evenkeel.surgery.report import KEPT, REPLACED, Conversion, Outcome
from evenkeel.surgery.sites import sites

KINDS = (StreamBatchNorm, ConditionalBatchNorm)


def to_streams(
    model: nn.Module, journal: Journal, *, streams: int = 2, own_affine: bool = False
) -> Conversion:
    """Every plain layer as the first of several populations, which begin as its copies."""
    return _wrapped(
        model, journal, lambda layer: StreamBatchNorm(layer, streams, own_affine=own_affine)
    )


def to_conditional(model: nn.Module, journal: Journal, *, conditions: int) -> Conversion:
    """Every plain layer with a scale and shift for each condition, all as its own at first."""
    return _wrapped(model, journal, lambda layer: ConditionalBatchNorm(layer, conditions))


def to_one(model: nn.Module, journal: Journal, *, stream: int = 0, condition: int = 0) -> None:
    """One population in the place of several: the layer of that stream, the row of that condition.

    Raises:  BadOption for one that is not there
    """
    for path, module in list(model.named_modules()):
        with located(path or "the model"):
            if isinstance(module, StreamBatchNorm):
                _check(stream, "stream", len(module.streams))
                journal.swap(module, module.streams[stream])
            elif isinstance(module, ConditionalBatchNorm):
                _check(condition, "condition", len(module.weight))
                journal.swap(module, _plain(module, condition))


def inside(model: nn.Module) -> dict[int, nn.Module]:
    """The modules inside layers for several populations, by id, and those layers."""
    return {
        id(part): module
        for module in model.modules()
        if isinstance(module, KINDS)
        for part in module.modules()
    }


def streams_in(model: nn.Module) -> set[int]:
    """The ids of the layers inside every StreamBatchNorm, of which any one may be the next to run."""
    return {key for key, outer in inside(model).items() if isinstance(outer, StreamBatchNorm)}


def _wrapped(
    model: nn.Module, journal: Journal, build: Callable[[nn.Module], nn.Module]
) -> Conversion:
    outcomes, within = [], inside(model)
    for site in sites(model):
        layer, kind = site.module, KEPT
        why = refused(layer)
        if id(layer) in within:
            why = f"it is part of a {type(within[id(layer)]).__name__} already"
        if not why:
            with located(site.path or "the model"):
                journal.swap(layer, build(_taken_out(layer)))
            kind, why = REPLACED, "which begins as the layer was"
        outcomes.append(Outcome(site.path, kind, type(layer).__name__, why))
    return Conversion(tuple(outcomes))


def _taken_out(layer: nn.Module) -> nn.Module:
    """One of our layers over the tensors of ``layer``, which keeps its hooks."""
    kind = type(layer)
    inner: nn.Module = kind.__new__(kind)
    nn.Module.__init__(inner)
    own = {name: value for name, value in vars(layer).items() if name not in vars(inner)}
    vars(inner).update(own, training=layer.training)
    for name in ("_parameters", "_buffers"):
        vars(inner)[name] = dict(vars(layer)[name])
    if kind in OURS:
        Journal().adopt(inner)
    return inner


def _plain(module: ConditionalBatchNorm, condition: int) -> nn.Module:
    """The layer that does for every example what ``module`` does for one condition."""
    norm = _taken_out(module.norm)
    for name, neutral in (("weight", 1), ("bias", 0)):
        rows: nn.Parameter = getattr(module, name)
        row = rows.detach()[condition].clone()
        # A layer that had none gets none back, unless one was learnt.
        if name in module.given or bool((row != neutral).any()):
            norm._parameters[name] = nn.Parameter(row, rows.requires_grad)
    if isinstance(norm, BatchNorm):
        affine = any(value is not None for value in norm._parameters.values())
        vars(norm).update(spec=replace(norm.spec, activation=module.activation), affine=affine)
    return norm


def _check(chosen: Any, name: str, count: int) -> None:
    if not isinstance(chosen, int) or not 0 <= chosen < count:
        raise BadOption(
            f"there is no such {name}", got=f"{name}={chosen!r}", do=f"give 0 to {count - 1}"
        )
