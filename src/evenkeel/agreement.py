"""Agreement of models that trained apart: their running statistics merged, their differences named."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from evenkeel.errors import BadOption, BadShape, RanksDiffer
from evenkeel.functional.statistics import Moments, merge_nonempty, var_unbiased
from evenkeel.messages import told
from evenkeel.nn import BatchNorm
from evenkeel.nn.batch_norm import unbiased
from evenkeel.nn.running import Population
from evenkeel.surgery.sites import sites

HOW = ("population", "average")
_MEAN, _VAR, _BATCHES = "running_mean", "running_var", "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Difference:
    """A layer, parameter or buffer by its name, and what it is on each rank.

    >>> print(Difference("bn.running_mean", ("float32 [4] 9af1", "float32 [4] 03c2")))
    bn.running_mean: rank 0 float32 [4] 9af1, rank 1 float32 [4] 03c2
    """

    name: str
    said: tuple[str, ...]

    def __str__(self) -> str:
        each = (f"rank {rank} {what}" for rank, what in enumerate(self.said))
        return f"{self.name}: {', '.join(each)}"


def check_ranks(model: nn.Module, group: Any = None) -> tuple[Difference, ...]:
    """What of ``model`` is not the same, bit for bit, on all ranks; the same answer on every rank.

    Modules are compared by class and options, parameters and buffers by dtype, shape and values. In
    one process there is nothing to differ.

    >>> check_ranks(nn.BatchNorm1d(3))
    ()
    """
    every = told(_described(model), group)
    names = dict.fromkeys(name for theirs in every for name in theirs)
    found = (Difference(n, tuple(theirs.get(n, "absent") for theirs in every)) for n in names)
    return tuple(difference for difference in found if len(set(difference.said)) > 1)


def sync_statistics(
    model: nn.Module, group: Any = None, *, count: float | None = None, how: str = "population"
) -> nn.Module:
    """Give all ranks the same running statistics, merged from each rank's own, in place.

    Math:    "population": mean = Σ nᵢ·meanᵢ / N, var = Σ nᵢ·(varᵢ + (meanᵢ − mean)²) / N, with nᵢ
             this rank's ``count``, by default the layer's ``num_batches_tracked``; exact for layers
             with running=Population(), whose own counts are used, and added up
             "average": averages of means and variances with equal weights or ``count``, as others
             do it; layers with running=Population() are merged exactly all the same
    Dtypes:  computed in f64
    Raises:  RanksDiffer on every rank when their layers differ; BadOption
    Source:  Chan, Golub & LeVeque 1983

    Once, before evaluation or saving: what is merged twice counts twice beside what comes after.
    ``num_batches_tracked`` becomes the largest. One process keeps what it has.

    >>> sync_statistics(nn.BatchNorm1d(3)).running_mean
    tensor([0., 0., 0.])
    """
    _check_how(how, count)
    found = {site.path: site.module for site in sites(model) if _MEAN in site.module._buffers}
    layers = {path: layer for path, layer in found.items() if layer._buffers[_MEAN] is not None}
    mine = {path: _statistics(layer) for path, layer in layers.items()}
    every = told((mine, count), group)
    if len(every) == 1:
        return model
    _check_same([theirs for theirs, _ in every])
    with torch.no_grad():
        for path, layer in layers.items():
            parts = [theirs[path] for theirs, _ in every]
            given = [own for _, own in every]
            merged = _merged(parts, _weights(parts, given, how), how, _corrected(layer))
            for name, value in merged.items():
                layer.get_buffer(name).copy_(value)
    return model


def merge_states(
    states: Sequence[Mapping[str, Tensor]],
    counts: Sequence[float] | None = None,
    *,
    keep_local: Sequence[str] = (),
    how: str = "population",
    running_var: str = "unbiased",
) -> dict[str, Tensor]:
    """One state_dict of those of several clients: parameters averaged, running statistics merged.

    Math:    parameters Σ nᵢ·pᵢ / N with nᵢ the clients' ``counts`` of examples (equal by default);
             statistics as in ``sync_statistics``; integers the largest
    Dtypes:  computed in f64, returned in the first state's
    Raises:  BadOption, BadShape for states that have not the same names and shapes
    Source:  McMahan et al. 2017, arXiv:1602.05629; ``keep_local`` Li et al. 2021, arXiv:2102.07623
             (FedBN)

    Names that match a pattern of ``keep_local`` are left out: each client keeps its own when it loads
    the rest with ``strict=False``. ``running_var`` is that of layers with running=Population().

    >>> a, b = ({"bn.running_mean": torch.tensor([m]), "w": torch.tensor([m])} for m in (0.0, 4.0))
    >>> merge_states([a, b], [1, 3], keep_local=["bn.*"])
    {'w': tensor([3.])}
    """
    weights = _counts(states, counts)
    _check_how(how, None)
    corrected = unbiased(running_var)
    _check_kept(keep_local, states[0])
    kept = [{n: t for n, t in s.items() if not _matches(n, keep_local)} for s in states]
    by_layer = [_by_layer(state) for state in kept]
    _check_same(by_layer, BadShape)
    merged: dict[str, Tensor] = {}
    for path in by_layer[0]:
        parts = [state[path] for state in by_layer]
        done = _merged(parts, weights, how, corrected)
        merged |= {f"{path}.{name}" if path else name: value for name, value in done.items()}
    return {name: merged[name] for name in kept[0]}


def _merged(
    parts: Sequence[Mapping[str, Tensor]], weights: Sequence[float], how: str, corrected: bool
) -> dict[str, Tensor]:
    """One layer's tensors: statistics as a population, the rest averaged."""
    merged = {name: _averaged([part[name] for part in parts], weights) for name in parts[0]}
    if not {_MEAN, _VAR} <= parts[0].keys():
        return merged
    if set(Population.extra) <= parts[0].keys():
        return merged | _populations(parts, corrected)
    if how == "average":
        return merged
    every = zip(parts, weights, strict=True)
    whole = merge_nonempty(
        *(Moments(p[_MEAN].double(), p[_VAR].double(), torch.tensor(n)) for p, n in every)
    )
    return merged | _as_before(parts[0], {_MEAN: whole.mean, _VAR: whole.var})


def _populations(parts: Sequence[Mapping[str, Tensor]], corrected: bool) -> dict[str, Tensor]:
    counts, means, m2s = ([part[name].double() for part in parts] for name in Population.extra)
    total = torch.stack(counts).sum(0)
    if not bool((total > 0).all()):  # nothing was seen: all are as they were made
        return dict(parts[0])
    seen = zip(means, m2s, counts, strict=True)
    whole = merge_nonempty(*(Moments(m, m2 / n.clamp_min(1), n) for m, m2, n in seen))
    names = (*Population.extra, _MEAN, _VAR)
    var = var_unbiased(whole) if corrected else whole.var
    values = (total, whole.mean, whole.var * total, whole.mean, var)
    return _as_before(parts[0], dict(zip(names, values, strict=True)))


def _averaged(values: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    if not values[0].is_floating_point():
        return torch.stack(list(values)).amax(0)
    total = sum(w * v.double() for v, w in zip(values, weights, strict=True))
    return torch.as_tensor(total / sum(weights)).to(values[0].dtype)


def _as_before(part: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.to(part[name].dtype) for name, value in values.items()}


def _weights(
    parts: Sequence[Mapping[str, Tensor]], given: Sequence[float | None], how: str
) -> Sequence[float]:
    """How much each rank counts in one layer; equally where nobody has seen anything."""
    equal = torch.tensor(1.0)
    batches = (equal if how == "average" else part.get(_BATCHES, equal) for part in parts)
    pairs = zip(batches, given, strict=True)
    told = [float(seen) if own is None else float(own) for seen, own in pairs]
    return told if sum(told) > 0 else [1.0] * len(told)


def _statistics(layer: nn.Module) -> dict[str, Tensor]:
    return {n: t.detach().cpu() for n, t in layer._buffers.items() if t is not None}


def _corrected(layer: nn.Module) -> bool:
    return layer.spec.unbiased if isinstance(layer, BatchNorm) else True


def _by_layer(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        path, _, last = name.rpartition(".")
        layers.setdefault(path, {})[last] = tensor.detach()
    return layers


def _described(model: nn.Module) -> dict[str, str]:
    """Every module, parameter and buffer by name, in words that are equal when it is."""
    told = {}
    for path, module in model.named_modules():
        told[path or "the model"] = f"{type(module).__name__}({module.extra_repr()})"
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        data = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
        digest = hashlib.sha256(data.numpy().tobytes()).hexdigest()[:16]
        kind = str(tensor.dtype).removeprefix("torch.")
        told[name] = f"{kind} {list(tensor.shape)} {digest}"
    return told


def _check_same(
    every: Sequence[Mapping[str, Mapping[str, Tensor]]],
    kind: type[RanksDiffer] | type[BadShape] = RanksDiffer,
) -> None:
    def shapes(told: Mapping[str, Mapping[str, Tensor]]) -> set[tuple[str, ...]]:
        return {(p, n, str(list(t.shape))) for p, part in told.items() for n, t in part.items()}

    kinds = [shapes(told) for told in every]
    apart = kinds[0].union(*kinds) - kinds[0].intersection(*kinds)
    if apart:
        path, name, shape = min(apart)
        holders = [k for k, told in enumerate(kinds) if (path, name, shape) in told]
        raise kind(
            "the models to be merged have not the same tensors",
            got=f"{f'{path}.{name}'.lstrip('.')} {shape}, on {holders} of {len(every)} alone",
            do="merge models of one kind; ek.check_ranks(model) names all that differs",
        )


def _check_how(how: str, count: float | None) -> None:
    if how not in HOW:
        raise BadOption("unknown way to merge", got=repr(how), do=f"use {' or '.join(HOW)}")
    if count is not None and not 0 <= count < float("inf"):
        raise BadOption("count is a number of examples", got=count, do="give 0 or more")


def _counts(
    states: Sequence[Mapping[str, Tensor]], counts: Sequence[float] | None
) -> Sequence[float]:
    weights = [1.0] * len(states) if counts is None else [float(count) for count in counts]
    good = len(weights) == len(states) and all(0 <= w < float("inf") for w in weights)
    if not good or sum(weights) <= 0:
        raise BadOption(
            "counts holds each state's number of examples",
            got=f"{len(states)} states, counts {counts}",
            do="give one number of 0 or more for each state, not all 0",
        )
    return weights


def _check_kept(patterns: Sequence[str], state: Mapping[str, Tensor]) -> None:
    unmatched = [one for one in patterns if not any(_matches(name, [one]) for name in state)]
    if unmatched:
        raise BadOption(
            "keep_local names what stays with each client",
            got=f"{unmatched[0]!r}, which matches none of {len(state)} names",
            do='give patterns of the names in a state_dict, such as "*.bn1.*"',
        )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
