"""Which layers are folded into what, and the folding: planned in float64, rounded once, last."""

from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from evenkeel.nn import FrozenBatchNorm
from evenkeel.nn.spec import Spec
from evenkeel.surgery.activations import module_of
from evenkeel.surgery.change import Journal
from evenkeel.surgery.folded import Folded
from evenkeel.surgery.freeze import frozen_in_place
from evenkeel.surgery.in_place import activate_in_place
from evenkeel.surgery.lifting import lift
from evenkeel.surgery.linear import (
    TRANSPOSED,
    Weights,
    affine_of,
    affine_then,
    channel_ranges,
    inputs_of,
    outputs_of,
    spec_in_inference,
    then_affine,
    unfit,
    weights_of,
)
from evenkeel.surgery.measured import Link
from evenkeel.surgery.neighbours import NOTHING, UNSEEN, Neighbour, Readings, neighbour, readings
from evenkeel.surgery.populations import streams_in
from evenkeel.surgery.recorded import Seen, seen_before
from evenkeel.surgery.report import FOLDED, FROZEN, KEPT, Conversion, Outcome
from evenkeel.surgery.sites import Site, is_bound, paths_of, sites


@dataclass(slots=True)
class _Work:
    """A linear operation on its way to new weights."""

    linear: nn.Module
    weights: Weights

    def rounded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias in the dtype of the operation."""
        weight = cast(Tensor, self.linear._parameters["weight"])
        pair = (v.to(weight.dtype) for v in (self.weights.weight, self.weights.bias))
        new, bias = (v.requires_grad_(weight.requires_grad) for v in pair)
        return new, bias


class Folding:
    """One folding of a model, noted in a journal."""

    def __init__(self, model: nn.Module, journal: Journal, probe: Any = None) -> None:
        self.model, self.journal, self._probe = model, journal, probe
        self._seen: dict[str, Seen] = {}
        self.links: dict[str, Link] = {}
        self._outcomes: list[Outcome] = []
        self._streams: set[int] = set()
        self._works: dict[int, _Work] = {}
        self._before: dict[int, tuple[float, ...]] = {}

    def run(self) -> None:
        """Fold what can be, make one multiply-add of the rest, leave what must stay."""
        unread = lift(self.model, self.journal)
        norms, found, places = sites(self.model), readings(self.model), paths_of(self.model)
        self._streams = streams_in(self.model)
        if self._probe is not None and found.closed:
            self._seen = seen_before(self.model, self._probe)
        for site in norms:
            reason = refused(site.module)
            if reason:
                into = type(site.module).__name__
                self._outcomes.append(Outcome(site.path, KEPT, into, reason))
            else:
                self._outcomes.append(self._one(site, found, places))
        for place, reason in unread.items():
            self._outcomes.append(
                Outcome(place, KEPT, "batch_norm", f"a functional call: {reason}")
            )
        for work in self._works.values():
            weight, bias = work.rounded()
            self.journal.set_parameters(work.linear, weight=weight, bias=bias)

    def report(self, errors: dict[str, float]) -> Conversion:
        """What was done, with the error of each fold where it is known."""
        return Conversion(
            tuple(self._told(outcome, errors) for outcome in self._outcomes),
            (FOLDED, FROZEN, KEPT),
        )

    def _one(self, site: Site, found: Readings, places: dict[int, tuple[str, ...]]) -> Outcome:
        reasons = []
        for side in ("before", "after"):
            near = self._near(site, side, found, places)
            if isinstance(near, Neighbour):
                self.links[site.path] = Link(places[id(near.linear)][0], side)
                if side == "before" and near.plain:
                    activate_in_place(site.module, found, places, self.journal)
                self._leave_rest(site.module, near, side)
                into = f"{type(near.linear).__name__} {places[id(near.linear)][0]}"
                return Outcome(site.path, FOLDED, into, f"which stands {side} it")
            reasons.append(near)
        # What stands after it matters where there is nothing to fold into before it.
        nothing = reasons[0] == NOTHING or reasons[0].startswith("it stands after")
        reason = reasons[1] if nothing and reasons[1] != NOTHING else reasons[0]
        frozen_in_place(site.module, self.journal, train_affine=True)
        return Outcome(site.path, FROZEN, "FrozenBatchNorm", reason)

    def _near(
        self, site: Site, side: str, found: Readings, places: dict[int, tuple[str, ...]]
    ) -> Neighbour | str:
        """The neighbour on one side, its new weights computed; else the reason against it."""
        if len(site.paths) > 1:
            return f"it is shared, and stands at {' and '.join(site.paths)}"
        if id(site.module) in self._streams:
            return "it is one of several populations, each with statistics of its own"
        near = neighbour(site.module, site.path, side, found)
        if isinstance(near, str) and near.startswith(UNSEEN) and side == "before":
            near = self._recorded(site) or near
        if isinstance(near, str):
            return near
        paths = places[id(near.linear)]
        if len(paths) > 1:
            return f"{paths[0]} is shared, and stands at {' and '.join(paths)}"
        spec = spec_in_inference(site.module)
        reason = misfit(near, spec, side)
        if reason:
            return f"{paths[0]}: {reason}"
        return self._accepted(site.module, near, side) or near

    def _recorded(self, site: Site) -> Neighbour | None:
        """The operation before a layer as a run on the probe showed it, where there is one."""
        seen = self._seen.get(site.path)
        if seen is None:
            return None
        return Neighbour(self.model.get_submodule(seen.linear), flat=False, plain=seen.plain)

    def _accepted(self, norm: nn.Module, near: Neighbour, side: str) -> str:
        """Compute the new weights; a reason where they do not fit the dtype."""
        old = self._works.get(id(near.linear)) or _Work(near.linear, weights_of(near.linear))
        change = then_affine if side == "before" else affine_then
        new = _Work(near.linear, change(near.linear, old.weights, affine_of(norm)))
        if not all(bool(v.isfinite().all()) for v in new.rounded()):
            return "the weights with the layer in them would not be finite in their dtype"
        if id(near.linear) not in self._works:
            self._before[id(near.linear)] = channel_ranges(near.linear, old.weights.weight)
        self._works[id(near.linear)] = new
        return ""

    def _leave_rest(self, norm: nn.Module, near: Neighbour, side: str) -> None:
        """Leave at the layer's place what of it did not go into the weights."""
        spec = spec_in_inference(norm)
        needed = rank_of(near, spec, side)
        ranks = () if needed is None or spec.ranks == (needed,) else (needed,)
        left: nn.Module = Folded(spec.activation, ranks)
        if not ranks and near.plain:
            left = module_of(spec.activation, inplace=True) if spec.activation else nn.Identity()
        self.journal.swap(norm, left)

    def _told(self, outcome: Outcome, errors: dict[str, float]) -> Outcome:
        link = self.links.get(outcome.path)
        if link is None:
            return outcome
        linear = self.model.get_submodule(link.linear)
        after = channel_ranges(linear, cast(Tensor, linear.weight))
        return Outcome(
            outcome.path,
            outcome.kind,
            outcome.into,
            outcome.reason,
            errors.get(outcome.path),
            self._before[id(linear)],
            after,
        )


def refused(norm: nn.Module) -> str:
    """Why a layer must stay what it is; "" when inference is a multiply-add of fixed numbers.

    >>> refused(nn.BatchNorm1d(2))
    'it is in training mode, where it normalizes by the batch: call eval() first'
    """
    if is_parametrized(norm) or "forward" in vars(norm):
        return "its parameters or its forward are not its own"
    if isinstance(norm, nn.modules.lazy.LazyModuleMixin):
        return "it knows its channels only after its first batch"
    if not type(norm).forward.__module__.startswith(("torch.nn.", "evenkeel.nn.")):
        return f"{type(norm).__name__} has a forward of its own, which may do anything"
    if norm._buffers.get("running_mean") is None or norm._buffers.get("running_var") is None:
        return "it has no running statistics, and normalizes by the batch in inference too"
    if norm.training and not isinstance(norm, FrozenBatchNorm):
        return "it is in training mode, where it normalizes by the batch: call eval() first"
    affine = affine_of(norm)
    if not all(bool(v.isfinite().all()) for v in (affine.scale, affine.shift)):
        return "its statistics or parameters are not finite"
    return "it carries hooks" if is_bound(norm) else ""


def misfit(near: Neighbour, spec: Spec, side: str) -> str:
    """Why a layer cannot go into this linear operation; "" when it can."""
    linear = near.linear
    if is_bound(linear):
        return "it carries hooks"
    reason = unfit(linear) or _other_axis(near, spec, side)
    if reason:
        return reason
    return _misfit_before(near, spec) if side == "before" else _misfit_after(near, spec)


def rank_of(near: Neighbour, spec: Spec, side: str) -> int | None:
    """The rank of the layer's input for which its channels are the operation's; None for any."""
    if near.flat:
        return 2 if side == "before" else None
    if isinstance(near.linear, nn.Linear):
        return None if spec.channel_axis == -1 else 2
    return len(near.linear.kernel_size) + 2  # type: ignore[arg-type]  # all others are convolutions


def _other_axis(near: Neighbour, spec: Spec, side: str) -> str:
    axis, rank = spec.channel_axis, rank_of(near, spec, side)
    if isinstance(axis, tuple) or len(spec.channels) != 1:
        return "the layer normalizes several channel axes"
    if rank is None:
        wrong = near.flat and axis != 1
    else:
        own = rank - 1 if isinstance(near.linear, nn.Linear) else 1
        wrong = axis % rank != own or not -rank <= axis < rank
    if wrong or (spec.ranks and rank is not None and rank not in spec.ranks):
        return f"the layer normalizes axis {axis}, where its channels are not"
    return ""


def _misfit_before(near: Neighbour, spec: Spec) -> str:
    if outputs_of(near.linear) != spec.channels[0]:
        return f"it has {outputs_of(near.linear)} channels, the layer {spec.channels[0]}"
    return ""


def _misfit_after(near: Neighbour, spec: Spec) -> str:
    linear = near.linear
    if not near.plain or spec.activation is not None:
        return "a sum or an activation of the layer stands before it"
    inputs, convolution = inputs_of(linear), not isinstance(linear, nn.Linear)
    whole = inputs % spec.channels[0] == 0 if near.flat else inputs == spec.channels[0]
    if not whole or (near.flat and convolution):
        return f"it has {inputs} inputs, the layer {spec.channels[0]} channels"
    if isinstance(linear, TRANSPOSED):
        return "the border of a transposed convolution's output sees the shift less often"
    if convolution and _pads_with_zeros(linear):
        return "it pads with zeros, which the layer's shift does not reach"
    return ""


def _pads_with_zeros(conv: nn.Module) -> bool:
    widths = cast(list[int], conv._reversed_padding_repeated_twice)
    return conv.padding_mode == "zeros" and any(widths)
