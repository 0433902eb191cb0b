"""freeze and unfreeze: batch-norm layers that no ``train()`` can thaw, and the way back."""

import copy
from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from evenkeel.errors import BadOption, located
from evenkeel.nn import FrozenBatchNorm
from evenkeel.surgery.change import Journal, taken_back_on_error
from evenkeel.surgery.sites import Site, sites


def freeze(
    model: nn.Module,
    only: str | Iterable[str] = "*",
    *,
    train_affine: bool = False,
    inplace: bool = False,
) -> nn.Module:
    """``model`` with batch-norm layers that use their running statistics in training mode too.

    Math:    as FrozenBatchNorm
    Shapes:  as the model's
    Dtypes:  as the model's
    Raises:  BadOption when ``only`` names no layer, or a layer cannot be frozen; NoStatistics for one
             without running statistics; after any error the model is as it was
    Source:  docs/decisions/0006 for how a layer changes

    ``only``: the paths of the layers, or patterns of them such as "encoder.*". ``train_affine`` leaves
    weight and bias trainable. Every layer stays the same object with the same tensors and hooks, so
    that an optimizer goes on; ``unfreeze`` is the exact way back. ``inplace`` freezes the model itself.

    >>> model = freeze(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))).train()
    >>> model[1]
    FrozenBatchNorm(2, eps=1e-05)
    >>> unfreeze(model)[1]
    BatchNorm1d(2, eps=1e-05, momentum=0.1, affine=True, ...)
    """
    target = model if inplace else copy.deepcopy(model)
    with taken_back_on_error() as journal:
        for site in _chosen(target, only):
            with located(site.path or "the model"):
                frozen_in_place(site.module, journal, train_affine=train_affine)
    return target


def unfreeze(
    model: nn.Module, only: str | Iterable[str] = "*", *, inplace: bool = False
) -> nn.Module:
    """``model`` with the batch-norm layers that ``freeze`` was given: the exact way back.

    Math:    as the layers'
    Shapes:  as the model's
    Dtypes:  as the model's
    Raises:  BadOption when ``only`` names no layer, or only ones that were built frozen; after any
             error the model is as it was
    Source:  docs/decisions/0006 for how a layer changes

    Layers that are not frozen, and those that were built as FrozenBatchNorm, stay as they are.

    >>> layer = nn.BatchNorm1d(2, momentum=0.01)
    >>> unfreeze(freeze(layer))
    BatchNorm1d(2, eps=1e-05, momentum=0.01, affine=True, ...)
    """
    target = model if inplace else copy.deepcopy(model)
    with taken_back_on_error() as journal:
        for site in _chosen(target, only):
            layer = site.module
            if isinstance(layer, FrozenBatchNorm) and layer._origin is not None:
                journal.keep_flags(layer)
                journal.swap(layer, layer.unfreeze())
    return target


def frozen_in_place(layer: nn.Module, journal: Journal, *, train_affine: bool) -> None:
    """Freeze one layer, which stays the same object.

    Raises:  BadOption, NoStatistics as ``FrozenBatchNorm.freeze``
    """
    if isinstance(layer, FrozenBatchNorm):
        return
    if is_parametrized(layer) or "forward" in vars(layer):
        raise BadOption(
            "a layer whose parameters or forward are not its own cannot be frozen",
            got=type(layer).__name__,
            do="remove_parametrizations first, or leave the layer out with only=",
        )
    journal.keep_flags(layer)
    journal.swap(layer, FrozenBatchNorm.freeze(layer, train_affine=train_affine))


def _chosen(model: nn.Module, only: str | Iterable[str]) -> tuple[Site, ...]:
    """The layers that ``only`` names."""
    if not isinstance(model, nn.Module):
        raise BadOption("this takes a model", got=type(model).__name__, do="give a torch.nn.Module")
    patterns = [only] if isinstance(only, str) else list(only)
    every = sites(model)
    found = tuple(s for s in every if any(fnmatchcase(p, q) for p in s.paths for q in patterns))
    if every and not found:
        raise BadOption(
            "no batch-norm layer has such a path",
            got=f"only={only!r}",
            do=f"name some of {', '.join(site.path for site in every[:5])}",
        )
    return found
