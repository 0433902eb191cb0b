"""convert: torch's batch-norm layers, and what follows them, by ours."""

import copy
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from evenkeel.errors import BadOption
from evenkeel.nn import FrozenBatchNorm, condition, stream
from evenkeel.surgery.change import OURS, Journal, taken_back_on_error
from evenkeel.surgery.decision import Plan, Survey, decide, survey
from evenkeel.surgery.kinds import to_frozen, to_ghost, to_renorm, to_sync
from evenkeel.surgery.populations import inside, to_conditional, to_streams
from evenkeel.surgery.probe import BOTH, check
from evenkeel.surgery.refuse import refusal
from evenkeel.surgery.report import FUSED, KEPT, REPLACED, Conversion, Outcome, attach, has_report
from evenkeel.surgery.restoring import to_torch
from evenkeel.surgery.rewriting import rewritten
from evenkeel.surgery.sites import Site, sites
from evenkeel.surgery.source import Hidden


def convert(
    model: nn.Module,
    probe: Any = None,
    *,
    to: str = "fused",
    inplace: bool = False,
    tolerance: float | None = None,
    **options: Any,  # of the layers that ``to`` names, checked there
) -> nn.Module:
    """``model`` with evenkeel's batch-norm layers in the place of torch's, fused with what follows.

    Math:    the same function: activation(bn(x)) and activation(bn(x) + residual) become one call
    Shapes:  as the model's; a fused sum must have the shape and dtype of the layer's output
    Dtypes:  as the model's
    Error:   rounding; with a probe at most ``tolerance``, relative to the largest value of each
             output, of each running statistic and of the gradient; by default 1e-4 in f32, 1e-9 in
             f64, 2e-2 in f16 and bf16
    Raises:  OutputsDiffer when the two models differ on the probe, BadOption for what is no module;
             after any error the model is as it was
    Source:  docs/decisions/0006

    ``probe`` is a batch on which both models run, in inference and in training: a tensor, a tuple of
    arguments, or a mapping of named ones. ``inplace`` converts the model itself, without a copy.

    ``to``: "torch" is the way back to torch's layers; activations that a layer took come back to where
    they were, others become modules after it; of several populations it leaves the first, or the one
    that ``stream=`` or ``condition=`` names. "frozen", "renorm" and "ghost" make FrozenBatchNorm,
    BatchRenorm and GhostBatchNorm of the layers, with ``options`` such as ``ghost_size=32``; these
    compute the same in inference only. "sync" (``group=``) makes SyncBatchNorm; ``sync=True`` does so
    after the fusing, in one call. "streams" (``streams=2, own_affine=False``) and "conditional"
    (``conditions=``) make StreamBatchNorm and ConditionalBatchNorm, whose populations all begin as the
    layer was.

    Every layer stays the same object with the same tensors, flags and hooks, and becomes one of ours.
    An activation module that its layer takes over becomes ``Identity``; for functions, sums and
    shared activations the forward is written anew. ``report_of`` says what was done, and why not more.

    >>> model = convert(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()))
    >>> model[1]
    BatchNorm2d(8, eps=1e-05, momentum=0.1, ..., activation='relu')
    """
    if not isinstance(model, nn.Module):
        raise BadOption(
            "convert takes a model", got=type(model).__name__, do="give a torch.nn.Module, built"
        )
    verb = _VERBS.get(to)
    if verb is None or not options.keys() <= _OPTIONS.get(to, options.keys()):
        raise BadOption(
            "there is no such conversion",
            got=f"to={to!r}{f' with {sorted(options)}' if verb else ''}",
            do=f"give to= one of {', '.join(map(repr, _VERBS))}, with options of that kind",
        )
    reference = copy.deepcopy(model) if inplace and probe is not None else model
    target = model if inplace else copy.deepcopy(model)
    with taken_back_on_error() as journal:
        report = verb(target, journal, **options)
        if probe is not None:
            _check(reference, target, probe, tolerance, to, options)
        if journal or not has_report(target):
            attach(target, report)
    return target


def _check(
    reference: nn.Module,
    target: nn.Module,
    probe: Any,
    tolerance: float | None,
    to: str,
    options: dict[str, Any],
) -> None:
    alone = not options.get("sync")  # else training depends on what the other ranks hold
    alike = to in ("fused", "torch") and alone and _trains_plainly(reference)
    # A new layer's populations are all as the layer was.
    with stream(options.get("stream", 0)), condition(options.get("condition", 0)):
        check(reference, target, probe, tolerance, BOTH if alike else BOTH[:1])


def _trains_plainly(model: nn.Module) -> bool:
    """Whether all layers train as torch's do, one population each."""
    known = (*OURS, *OURS.values(), FrozenBatchNorm, nn.SyncBatchNorm)
    return not inside(model) and all(type(site.module) in known for site in sites(model))


def _changed(
    model: nn.Module, journal: Journal, *, sync: bool = False, group: Any = None
) -> Conversion:
    """Change the model; what was done."""
    if group is not None and not sync:
        raise BadOption(
            "group= names the processes of SyncBatchNorm",
            got="no sync=True",
            do="give sync=True too",
        )
    norms = sites(model)
    seen = survey(model)
    refused = {site.path: refusal(site.module) for site in norms}
    plans = {s.path: decide(s, seen) for s in norms if not refused[s.path]}
    for site in norms:
        if not refused[site.path]:
            journal.adopt(site.module)
    _fuse(norms, _claimed(plans), seen, journal, plans)
    outcomes = {site.path: _outcome(site, refused[site.path], plans) for site in norms}
    if sync:
        made = {one.path: one for one in to_sync(model, journal, group).sites}
        fused = {p: o for p, o in outcomes.items() if o.kind == FUSED}
        outcomes = made | {p: replace(o, into=_as_sync(o.into)) for p, o in fused.items()}
    return Conversion(tuple(outcomes.values()))


def _as_sync(into: str) -> str:
    return "SyncBatchNorm" + into[into.index("(") :]


def _claimed(plans: dict[str, Plan | str]) -> dict[str, Plan]:
    """The plans, each activation with one layer only; the others' plans become reasons."""
    taken: dict[tuple[str, str], str] = {}
    for path, plan in plans.items():
        if isinstance(plan, Plan):
            key = plan.place, plan.found.chain[-1].name
            first = taken.setdefault(key, path)
            if first != path:
                plans[path] = f"not fused: {first} takes this sum and its activation"
    return {path: plan for path, plan in plans.items() if isinstance(plan, Plan)}


def _fuse(
    norms: tuple[Site, ...],
    chosen: dict[str, Plan],
    seen: Survey,
    journal: Journal,
    plans: dict[str, Plan | str],
) -> None:
    """Fuse what is planned; first what only moves, then forwards from the innermost outwards."""
    layers = {site.path: site.module for site in norms}
    by_place: dict[str, dict[str, Plan]] = defaultdict(dict)
    for path, plan in chosen.items():
        if plan.found.moves and plan.found.by is not None:
            journal.activate(layers[path], plan.found.activation)
            journal.silence(plan.found.by)
        else:
            by_place[plan.place][path] = plan
    for place in sorted(by_place, key=lambda place: -len(place.split(".")) if place else 0):
        group = by_place[place]
        try:
            _rewrite(place, group, layers, seen, journal)
        except Hidden as reason:
            plans.update(dict.fromkeys(group, f"not fused: {place or 'the model'}: {reason}"))


def _rewrite(
    place: str,
    group: dict[str, Plan],
    layers: dict[str, nn.Module],
    seen: Survey,
    journal: Journal,
) -> None:
    root = next(iter(group.values())).root
    start = len(place) + 1 if place else 0
    targets = {path[start:]: plan.found.activation for path, plan in group.items()}
    journal.become(root, rewritten(root, targets, seen.is_lone))
    for path, plan in group.items():
        journal.activate(layers[path], plan.found.activation)


def _outcome(site: Site, refused: str, plans: dict[str, Plan | str]) -> Outcome:
    layer = site.module
    if refused:
        return Outcome(site.path, KEPT, type(layer).__name__, refused)
    plan, name = plans[site.path], type(layer).__name__
    if isinstance(plan, str):
        return Outcome(site.path, REPLACED, name, plan.removeprefix("not fused: "))
    added = " + residual" if plan.found.residual is not None else ""
    into = f"{name}(activation={plan.found.activation!r}){added}"
    return Outcome(site.path, FUSED, into, _how(plan))


def _how(plan: Plan) -> str:
    if plan.found.moves:
        inside = str(plan.found.chain[-1].target)
        return f"{f'{plan.place}.' * bool(plan.place)}{inside} became Identity"
    return f"the forward of {plan.place or 'the model'} was written anew"


_VERBS: dict[str, Callable[..., Conversion]] = {
    "fused": _changed,
    "torch": to_torch,
    "frozen": to_frozen,
    "renorm": to_renorm,
    "ghost": to_ghost,
    "sync": to_sync,
    "streams": to_streams,
    "conditional": to_conditional,
}
# Of the kinds whose function takes no options of a layer; the others' are checked there.
_OPTIONS: dict[str, set[str]] = {
    "fused": {"sync", "group"},
    "torch": {"stream", "condition"},
    "sync": {"group"},
    "streams": {"streams", "own_affine"},
    "conditional": {"conditions"},
}
