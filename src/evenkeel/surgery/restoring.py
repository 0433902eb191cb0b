"""The way back to torch's layers: what conversions changed, undone; our own layers as torch's."""

from dataclasses import replace

from torch import nn

from evenkeel.nn import BatchNorm, FrozenBatchNorm
from evenkeel.surgery.activations import module_of
from evenkeel.surgery.change import OURS, TAKEN, WAS, Journal
from evenkeel.surgery.kinds import original
from evenkeel.surgery.populations import to_one
from evenkeel.surgery.report import KEPT, REPLACED, Conversion, Outcome
from evenkeel.surgery.rewriting import FromGraph, origin
from evenkeel.surgery.sites import Site, is_bound, sites

_THEIRS = {ours: torchs for torchs, ours in OURS.items()}


def to_torch(model: nn.Module, journal: Journal, **one: int) -> Conversion:
    """Every layer as torch's where torch's does the same; the rest stays, with the reason.

    ``one``: which ``stream`` and ``condition`` is left where there are several.
    """
    to_one(model, journal, **one)
    for module in list(model.modules()):
        if isinstance(module, FromGraph):
            journal.become(module, origin(type(module)))
        if WAS in vars(module):
            journal.become(module, vars(module)[WAS])
            del vars(module)[WAS]
    return Conversion(tuple(_restored(site, model, journal) for site in sites(model)))


def _restored(site: Site, model: nn.Module, journal: Journal) -> Outcome:
    layer = site.module
    _undone(layer, journal)
    if type(layer) in (*OURS, nn.SyncBatchNorm):
        return Outcome(site.path, REPLACED, type(layer).__name__, "as it was")
    reason = _kept(layer)
    added = ""
    if not reason and vars(layer)["spec"].activation is not None:
        reason, added = _activation_out(site, model, journal)
    if reason:
        return Outcome(site.path, KEPT, type(layer).__name__, reason)
    _give_back(layer, journal)
    why = f"its activation became {added}" if added else "the same in training and in inference"
    return Outcome(site.path, REPLACED, type(layer).__name__, why)


def _undone(layer: nn.Module, journal: Journal) -> None:
    """What ``convert`` and ``freeze`` did to one layer, taken back."""
    while True:
        before = original(layer)
        if before is None and isinstance(layer, FrozenBatchNorm) and layer._origin is not None:
            journal.keep_flags(layer)
            before = layer.unfreeze()
        if before is None:
            break
        journal.swap(layer, before)
    if TAKEN in vars(layer):
        journal.remember(layer)
        vars(layer)["spec"] = replace(vars(layer)["spec"], activation=None)
        del vars(layer)[TAKEN]
        if not _kept(layer):
            _give_back(layer, journal)


def _kept(layer: nn.Module) -> str:
    """Why torch has no layer that does the same as ``layer``; "" when it has."""
    if not isinstance(layer, BatchNorm) or type(layer) not in _THEIRS:
        return f"torch has no {type(layer).__name__}"
    spec = replace(layer.spec, activation=None)
    if not spec.torch_training or len(spec.channels) > 1:
        return f"torch's layer has no {spec.options()}"
    if layer.weight is None and layer.bias is not None:
        return "torch's layer has no bias without a weight"
    return ""


def _give_back(layer: nn.Module, journal: Journal) -> None:
    """Make one of our layers torch's: the same object, tensors, flags and hooks."""
    journal.remember(layer)
    spec = vars(layer).pop("spec")
    layer.__class__ = _THEIRS[type(layer)]  # type: ignore[index]  # _kept looked
    vars(layer).pop("_known", None)
    vars(layer).pop("_known_inference", None)
    vars(layer).update(num_features=spec.channels[0], eps=spec.eps, momentum=spec.running.momentum)


def _activation_out(site: Site, model: nn.Module, journal: Journal) -> tuple[str, str]:
    """Put a layer's own activation after it as a module: the reason why not, and the new path."""
    place, _, name = site.path.rpartition(".")
    activation = vars(site.module)["spec"].activation
    parent = model.get_submodule(place)
    alone = len(site.paths) == 1 and type(parent).forward is nn.Sequential.forward
    if not site.path or not alone or "forward" in vars(parent):
        return f"its activation {activation} has no place in the forward around it", ""
    if is_bound(site.module):
        return f"it carries hooks, which see the output of its activation {activation}", ""
    new = f"{name}_{activation}"
    if new in parent._modules:
        return f"there is already a module {new}", ""
    after = module_of(str(activation)).train(site.module.training)
    journal.remember(parent)
    parts = list(parent._modules.items())
    index = [key for key, _ in parts].index(name) + 1
    vars(parent)["_modules"] = dict([*parts[:index], (new, after), *parts[index:]])
    return "", f"{place}.{new}".removeprefix(".")
