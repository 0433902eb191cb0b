"""Layers that train in another way: frozen, renorm, ghost; each remembers what it was."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from torch import Tensor, nn

from evenkeel.errors import located
from evenkeel.nn import (
    BatchNorm,
    BatchRenorm,
    CumulativeAverage,
    Ema,
    FrozenBatchNorm,
    GhostBatchNorm,
    SyncBatchNorm,
)
from evenkeel.nn.spec import Spec
from evenkeel.surgery.change import OURS, Journal, spec_of
from evenkeel.surgery.freeze import frozen_in_place
from evenkeel.surgery.refuse import refusal
from evenkeel.surgery.report import KEPT, REPLACED, Conversion, Outcome
from evenkeel.surgery.sites import sites

# Why these do not take their statistics from all ranks.
_APART: dict[type, str] = {
    GhostBatchNorm: "it normalizes parts of one rank's batch by themselves",
    BatchRenorm: "it corrects a small batch by the running statistics instead",
    FrozenBatchNorm: "it takes no statistics of a batch",
}
ORIGIN = "_evenkeel_origin"  # class and attributes of the layer that was here before


def to_frozen(model: nn.Module, journal: Journal, **options: Any) -> Conversion:
    """Every layer frozen, as ``freeze`` does it."""
    outcomes = []
    for site in sites(model):
        with located(site.path or "the model"):
            frozen_in_place(site.module, journal, **{"train_affine": False, **options})
        outcomes.append(Outcome(site.path, REPLACED, "FrozenBatchNorm", "by its statistics"))
    return Conversion(tuple(outcomes))


def to_renorm(model: nn.Module, journal: Journal, **options: Any) -> Conversion:
    """Every plain layer as BatchRenorm over the same tensors."""

    def build(spec: Spec) -> BatchNorm:
        return BatchRenorm(
            spec.channels, spec.eps, spec.running.momentum, **_shared(spec), **options
        )

    return _rebuilt(model, journal, build, _unfit_for_renorm)


def to_ghost(model: nn.Module, journal: Journal, **options: Any) -> Conversion:
    """Every plain layer as GhostBatchNorm over the same tensors."""

    def build(spec: Spec) -> BatchNorm:
        return GhostBatchNorm(spec.channels, spec.eps, **{**_all_of(spec), **options})

    return _rebuilt(model, journal, build, lambda spec, layer: "")


def to_sync(model: nn.Module, journal: Journal, group: Any = None) -> Conversion:
    """Every plain layer as SyncBatchNorm over the same tensors, which knows its path; torch's too."""

    def build(spec: Spec) -> BatchNorm:
        return SyncBatchNorm(spec.channels, spec.eps, group=group, **_all_of(spec))

    before = {site.path: type(site.module) for site in sites(model)}
    for site in sites(model):
        _from_torchs(site.module, journal, group)
    done = _rebuilt(model, journal, build, lambda spec, layer: "")
    for site in sites(model):
        if isinstance(site.module, SyncBatchNorm) and not site.module.place:
            journal.remember(site.module)
            site.module.place = site.path
    return Conversion(tuple(_told_of(one, before[one.path]) for one in done.sites))


def _told_of(one: Outcome, kind: type) -> Outcome:
    """The outcome of a layer that was of ``kind``, with the reason why it is not synchronized."""
    if kind is nn.SyncBatchNorm and one.into == "SyncBatchNorm":
        return Outcome(one.path, REPLACED, one.into, "over the tensors of torch's")
    return replace(one, reason=_APART.get(kind, one.reason))


def _from_torchs(layer: nn.Module, journal: Journal, group: Any) -> None:
    """Make torch's SyncBatchNorm ours, with its group unless another is given."""
    if type(layer) is not nn.SyncBatchNorm or "forward" in vars(layer):
        return
    own = layer.process_group if group is None else group
    made = SyncBatchNorm(layer.num_features, layer.eps, layer.momentum, group=own)
    journal.swap(layer, _over(layer, made))


def _all_of(spec: Spec) -> dict[str, Any]:
    running_var = "unbiased" if spec.unbiased else "biased"
    return {**_shared(spec), "running": spec.running, "running_var": running_var}


def _shared(spec: Spec) -> dict[str, Any]:
    return {"channel_axis": spec.channel_axis, "activation": spec.activation}


def _rebuilt(
    model: nn.Module,
    journal: Journal,
    build: Callable[[Spec], BatchNorm],
    unfit: Callable[[Spec, nn.Module], str],
) -> Conversion:
    outcomes = []
    for site in sites(model):
        layer = site.module
        reason = refused(layer) or unfit(_spec(layer), layer)
        if not reason:
            with located(site.path or "the model"):
                journal.swap(layer, _over(layer, build(_spec(layer))))
        kind, why = (KEPT, reason) if reason else (REPLACED, "over the same tensors")
        outcomes.append(Outcome(site.path, kind, type(layer).__name__, why))
    return Conversion(tuple(outcomes))


def refused(layer: nn.Module) -> str:
    """Why a layer stays what it is; "" for a plain one."""
    if type(layer) not in OURS.values():
        return refusal(layer)
    return "its forward was replaced on this one object" if "forward" in vars(layer) else ""


def _unfit_for_renorm(spec: Spec, layer: nn.Module) -> str:
    if type(spec.running) not in (Ema, CumulativeAverage):
        return f"BatchRenorm averages by momentum, and this layer has {spec.running!r}"
    if layer._buffers.get("running_mean") is None:
        return "BatchRenorm normalizes by running statistics, and this layer keeps none"
    return ""


def _spec(layer: nn.Module) -> Spec:
    return layer.spec if isinstance(layer, BatchNorm) else spec_of(layer)


def _over(layer: nn.Module, made: BatchNorm) -> BatchNorm:
    """``made`` over the tensors of ``layer``, which it remembers."""
    tensors = layer._parameters, layer._buffers
    left_out = ("_parameters", "_buffers", "training")
    kept = {name: value for name, value in vars(layer).items() if name not in left_out}
    vars(made)[ORIGIN] = type(layer), kept
    vars(made).update({n: vars(layer)[n] for n in ("affine", "track_running_stats")})
    mean, var = tensors[1].get("running_mean"), tensors[1].get("running_var")
    if "renorm_mean" in made._buffers and mean is not None:
        std = (cast(Tensor, var).double() + made.spec.eps).sqrt()
        own = {"renorm_mean": mean.clone(), "renorm_std": std.to(mean.dtype)}
    else:
        own = {}
    made._parameters = dict(tensors[0])
    made._buffers = {**tensors[1], **own}
    return made


def original(layer: nn.Module) -> nn.Module | None:
    """What was at the place of ``layer`` before, over its present tensors; None for nothing."""
    if ORIGIN not in vars(layer):
        return None
    kind, kept = vars(layer)[ORIGIN]
    back = cast(nn.Module, kind.__new__(kind))
    vars(back).update(kept)
    own = {"renorm_mean", "renorm_std"}
    vars(back)["_parameters"] = dict(layer._parameters)
    vars(back)["_buffers"] = {n: t for n, t in layer._buffers.items() if n not in own}
    vars(back)["training"] = layer.training
    return back
