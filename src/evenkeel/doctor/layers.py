"""A layer's row in the trace: what it is and holds, joined with what was seen of it."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from evenkeel.doctor.flow import flow_of
from evenkeel.doctor.ignoring import ignored_at
from evenkeel.doctor.recording import Recording
from evenkeel.doctor.trace import Layer
from evenkeel.doctor.watching import EVALUATION, TRAINING, Seen, numbers, spec_of
from evenkeel.nn import Ema, FrozenBatchNorm
from evenkeel.surgery.sites import Site, sites


@dataclass(frozen=True, slots=True)
class About:
    """What of the observation is not one layer's: the recorded run, the optimizer, who stands still."""

    recording: Recording | None
    optimizer: Optimizer | None
    model: nn.Module
    still: dict[str, str]
    moved: set[int]


def layer_of(site: Site, seen: Seen, about: About) -> Layer:
    """The layer at ``site`` as plain values."""
    layer = site.module
    return Layer(
        **_identity(site),
        **_state(layer),
        input_dtype=seen.input_dtype,
        rank=seen.rank,
        frozen=about.still.get(site.path, ""),
        decay=_decay(layer, about.optimizer),
        calls=tuple(seen.calls),
        evaluations=seen.evaluations,
        by_batch=(seen.by_batch.get(TRAINING, True), seen.by_batch.get(EVALUATION, False)),
        moves=tuple(seen.moves),
        moved_in_evaluation=id(layer) in about.moved,
        highest=numbers(seen.highest) or (),
        var_without_dropout=seen.var_without_dropout,
        flow=flow_of(about.recording, layer) if about.recording else None,
        ignored=ignored_at(about.model, site.path),
    )


def seen_layer(site: Site, seen: Seen | None) -> Layer:
    """The layer at ``site`` with what one sampled step says of it."""
    layer = Layer(**_identity(site), **_state(site.module))
    if seen is None:
        return layer
    return replace(
        layer,
        rank=seen.rank,
        input_dtype=seen.input_dtype,
        by_batch=(seen.by_batch.get(TRAINING, True), False),
        highest=numbers(seen.highest) or (),
    )


def meant_to_stand_still(model: nn.Module) -> dict[str, str]:
    """The layers whose user meant them to stand still, by path, with what says so."""
    trains = any(p.requires_grad for p in model.parameters())
    found = {}
    for site in sites(model):
        own = list(site.module.parameters(recurse=False))
        if isinstance(site.module, FrozenBatchNorm) or not trains:
            continue
        if own and not any(p.requires_grad for p in own):
            found[site.path] = "its weight and bias require no gradient"
        elif model.training and not site.module.training:
            found[site.path] = "it stands in inference mode inside of a model in training mode"
    return found


def was_trained(model: nn.Module, steps: int | None) -> bool | None:
    """Whether the weights of the layers have left their initial values; None where nothing tells."""
    if steps is not None:
        return steps > 0
    layers = [site.module for site in sites(model)]
    if any(int(_buffer(layer, "num_batches_tracked", torch.zeros(()))) > 0 for layer in layers):
        return True
    vectors = [p.detach() for layer in layers for p in layer.parameters(recurse=False)]
    if not vectors:
        return None
    return any(bool((v != v.flatten()[0]).any()) for v in vectors)


def _identity(site: Site) -> dict[str, Any]:
    layer, spec = site.module, spec_of(site.module)
    axis = spec.channel_axis
    return {
        "path": site.path,
        "paths": site.paths,
        "kind": type(layer).__name__,
        "channels": int(torch.tensor(spec.channels).prod()),
        "channel_axis": axis if isinstance(axis, int) else None,
        "eps": spec.eps,
        "momentum": None if isinstance(layer, FrozenBatchNorm) else layer.momentum,
        "debiased": not isinstance(spec.running, Ema),
        "unbiased": spec.unbiased,
        "activation": spec.activation or "",
        "sync": isinstance(layer, nn.SyncBatchNorm) or "Sync" in type(layer).__name__,
    }


def _state(layer: nn.Module) -> dict[str, Any]:
    weight, mean = layer._parameters.get("weight"), layer._buffers.get("running_mean")
    kept = next((t for t in layer._parameters.values() if t is not None), mean)
    return {
        "weight": numbers(weight),
        "bias": numbers(layer._parameters.get("bias")),
        "running_mean": numbers(mean),
        "running_var": numbers(layer._buffers.get("running_var")),
        "updates": _updates(layer),
        "dtype": _name(kept),
        "statistics_dtype": _name(mean),
    }


def _updates(layer: nn.Module) -> int | None:
    batches = layer._buffers.get("num_batches_tracked")
    return None if batches is None else int(batches)


def _buffer(layer: nn.Module, name: str, default: Tensor) -> Tensor:
    found = layer._buffers.get(name)
    return default if found is None else found


def _name(tensor: Tensor | None) -> str:
    return "float32" if tensor is None else str(tensor.dtype).removeprefix("torch.")


def _decay(layer: nn.Module, optimizer: Optimizer | None) -> float:
    """The weight decay on the layer's own weight and bias."""
    own = {id(p) for p in layer.parameters(recurse=False)}
    groups = [] if optimizer is None else optimizer.param_groups
    return max(
        (float(g.get("weight_decay", 0)) for g in groups if any(id(p) in own for p in g["params"])),
        default=0.0,
    )
