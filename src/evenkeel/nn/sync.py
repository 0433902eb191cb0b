"""SyncBatchNorm: the batch of all processes of a group normalized as one."""

from contextlib import nullcontext
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from evenkeel.autograd import differentiated, recomputing
from evenkeel.errors import EmptyBatch, OneValuePerChannel
from evenkeel.functional import moments, weighted_moments
from evenkeel.functional.statistics import Moments, merge_nonempty
from evenkeel.kernels.library import alike
from evenkeel.kernels.plan import Plan
from evenkeel.nn import sync_native
from evenkeel.nn.batch_norm import BatchNorm
from evenkeel.nn.spec import DEFAULT_EPS, DEFAULT_MOMENTUM, Spec
from evenkeel.nn.steps import Known, Vectors, by_moments, by_statistics, position_weights
from evenkeel.nn.sync_native import Merged, merged
from evenkeel.nn.turns import here, met_before, outside_checkpoints, remembered
from evenkeel.peers import Peers, Said
from evenkeel.views import check_like, other_axes, statistics_dtype


class SyncBatchNorm(BatchNorm):
    """Batch normalization whose batch is that of all processes of a ``torch.distributed`` group.

    Math:    as BatchNorm with N, m and v of all ranks' values together: each rank's count, mean and
             variance go to all in one message and are merged by Chan's rule in f64, in the order of
             ranks. The backward pass adds up the gradients of m and v over the ranks
    Shapes:  as BatchNorm; ranks may hold batches of different sizes, also empty ones [0, C, *]
    Dtypes:  as BatchNorm
    Error:   to the whole batch in float64: 1e-12 relative in f64, 1e-6 in f32 (1.2e-6 for second
             derivatives whose sums cancel)
    Cost:    forward and backward one all_gather each of 4232 bytes a rank up to 512 channels in f32
             (256 in f64), a second one for the rest above that
    Raises:  as BatchNorm, about the batch of all ranks; RanksDiffer on every rank when they are not
             at the same layer with the same channels and dtype, or when another rank failed
    Source:  Chan, Golub & LeVeque 1983; torch.nn.SyncBatchNorm, which refuses the CPU

    ``group`` is the group of processes, by default all. Inference never communicates; without a
    process group, or alone in one, the layer is a BatchNorm. Gradients are those of the sum of all
    ranks' losses: of x whole, of weight and bias this rank's part (DistributedDataParallel averages).
    ``place`` names the layer in messages; ``ek.convert(model, sync=True)`` sets it to its path.

    >>> layer = SyncBatchNorm(64, activation="relu")
    >>> layer(torch.randn(8, 64, 7, 7)).shape
    torch.Size([8, 64, 7, 7])
    """

    place = ""

    def __init__(
        self,
        num_features: int | tuple[int, ...],
        eps: float = DEFAULT_EPS,
        momentum: float | None = DEFAULT_MOMENTUM,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        group: Any = None,
        **options: Any,  # BatchNorm's keyword-only arguments, checked there
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, **options
        )
        self.peers = Peers(group)

    @property
    def _torch_training(self) -> bool:
        return False

    def _forward_by_batch(
        self, x: Tensor, residual: Tensor | None, weights: Tensor | None
    ) -> Tensor:
        """Normalize by the batch of all ranks; in training also move the running statistics."""
        if self.training and (here() is not None or "_met" in self.__dict__):
            return self._in_lockstep(x, residual, weights)
        if not self.training or self.peers.alone:
            return super()._forward_by_batch(x, residual, weights)
        if torch.compiler.is_compiling():  # to tell others and to hear them is no part of a graph
            apart: Any = torch.compiler.disable(self._with_others)  # type: ignore[no-untyped-call]
            y: Tensor = apart(x, residual, weights)
            return y
        return self._with_others(x, residual, weights)

    def _with_others(self, x: Tensor, residual: Tensor | None, weights: Tensor | None) -> Tensor:
        place = self.place or self.spec.kind
        heard = None
        with self.peers.telling(place, x.device):
            plan = self._native_plan(x, residual) if weights is None else None
            if plan is None:
                x, own, said = _own(self.spec, x, residual, weights, place)
            else:
                said, rows = sync_native.own(plan, x, place)
        if plan is not None:
            heard = merged(*self.peers.exchange(said, rows))
            if all(one.native for one in heard.told):
                y = _natively(self, plan, x, residual, said, heard)
                self._move_by(*heard[:3], weighted=False)
                return y
            x, own, said = _own(self.spec, x, residual, weights, place)
        whole, total = _merged(self.spec, own, said, self.peers, heard)
        y = _normalized(self.spec, x, whole, self._vectors(), residual)
        mean, var = whole.mean.detach(), whole.var.detach()
        self._move_by(mean, var, total, weighted=weights is not None)
        return y

    def _move_by(self, mean: Tensor, var: Tensor, total: float, *, weighted: bool) -> None:
        exact = total.is_integer() and not weighted  # other ranks may have weights
        self._move(Moments(mean, var, int(total) if exact else torch.full_like(mean, total)))

    def _in_lockstep(self, x: Tensor, residual: Tensor | None, weights: Tensor | None) -> Tensor:
        """Normalize by the micro-batches of a lockstep, or again in the backward pass after it."""
        name, place = self.place or self.spec.kind, here()
        if place is None and not recomputing():  # it is over
            del self.__dict__["_met"]
            return self._forward_by_batch(x, residual, weights)
        with nullcontext() if self.peers.alone else self.peers.telling(name, x.device):
            x, own, said = _own(self.spec, x, residual, weights, name)
        met = self.__dict__.setdefault("_met", [])
        if place is None:
            whole = met_before(met, own)
        else:
            whole = place.turns.meet(place, name, (own, said, weights is not None), self._joined)
            met.append(remembered(own, whole))
        return _normalized(self.spec, x, whole, self._vectors(), residual)

    def _joined(self, parts: list[tuple[Moments, Said, bool]]) -> Moments:
        """The moments of all micro-batches, and of the other ranks'; they move the running ones."""
        owns, said, weighted = zip(*parts, strict=True)
        with outside_checkpoints():
            own = merge_nonempty(*owns)._replace(count=sum(part.count for part in owns))
            positions, count = sum(one.positions for one in said), sum(one.count for one in said)
            wanted = any(one.gradient for one in said)
            all_said = said[0]._replace(positions=positions, count=count, gradient=wanted)
            whole, total = _merged(self.spec, own, all_said, self.peers)
        self._move_by(whole.mean.detach(), whole.var.detach(), total, weighted=any(weighted))
        return whole

    def _native_plan(self, x: Tensor, residual: Tensor | None) -> Plan | None:
        """How to take x in native calls; None where they cannot."""
        if torch.compiler.is_compiling():
            return None
        known: Known | None = self.__dict__.get("_known_sync")
        if known is None or not known.covers(self.spec, x):
            self.spec.check_input(x)
            known = sync_native.known_of(self.spec, x)
            self.__dict__["_known_sync"] = known
        if residual is not None:
            check_like(residual, x, "residual")
        if known is None or not all(map(known.plan.fits, self._vectors())):
            return None
        return known.plan


def _natively(
    layer: SyncBatchNorm, plan: Plan, x: Tensor, residual: Tensor | None, said: Said, heard: Merged
) -> Tensor:
    """Normalize by the moments of all ranks' values, where every rank does it in native calls."""
    _check_several(heard.told)
    if residual is not None:
        residual = alike(residual, x)
    work = sync_native.Work(plan, said, layer.peers, partial(_again, layer.spec, said, layer.peers))
    y: Tensor = sync_native.apply_synced(x, *layer._vectors(), residual, work, heard)  # type: ignore[no-untyped-call]
    return y


def _again(spec: Spec, said: Said, peers: Peers, x: Tensor, whole: Merged) -> tuple[Tensor, Tensor]:
    """Mean and rstd of all ranks' values once more, without a message, to be differentiated."""
    rest, shape = other_axes(spec.axes(x.ndim), x.ndim), spec.channels
    own, spread, _ = moments(x, rest, keepdims=True)
    count = torch.full((), said.count, dtype=torch.float64, device=x.device)
    mean, var, _, _ = _Merged.apply(own, spread, count, said, peers, whole)  # type: ignore[no-untyped-call]
    return mean.view(shape), (var.view(shape) + spec.eps).rsqrt()


def _own(
    spec: Spec, x: Tensor, residual: Tensor | None, weights: Tensor | None, place: str
) -> tuple[Tensor, Moments, Said]:
    """This rank's part: x as it is to be normalized, its moments, and what to say of them."""
    spec.check_input(x)
    if residual is not None:
        check_like(residual, x, "residual")
    axes = spec.axes(x.ndim)
    rest, channels = other_axes(axes, x.ndim), prod(spec.channels)
    positions, count = x.numel() // channels, None
    if weights is not None:
        spread = position_weights(weights, x, axes)
        x = x.masked_fill((spread == 0) & ~x.isfinite(), 0.0)
        times = positions // max(spread.numel(), 1)
        positions = int((spread != 0).sum()) * times  # wrong ones are refused below
    if positions == 0:  # zeros that autograd knows to come from x: the others wait for its sums
        mean = var = x.to(statistics_dtype(x)).mul(0).sum(rest, keepdim=True)
    elif weights is None:
        mean, var, _ = moments(x, rest, keepdims=True)
    else:
        mean, var, counts = weighted_moments(x, rest, spread, keepdims=True)
        count = torch.as_tensor(counts).flatten()[0].double()
    told = float(positions) if count is None else float(count.detach())
    if count is None:
        count = torch.full((), told, dtype=torch.float64, device=x.device)
    said = Said(place, channels, x.dtype, differentiated(mean, count), positions, told)
    return x, Moments(mean, var, count), said


def _merged(
    spec: Spec, own: Moments, said: Said, peers: Peers, heard: Merged | None = None
) -> tuple[Moments, float]:
    """The moments of all ranks' values, differentiable in this rank's; their count as a number.

    ``heard``: what came of the message where it has been.
    """
    if peers.alone:  # with the other micro-batches of a lockstep
        mean, var, count, told = *own, [said]
    else:
        mean, var, count, told = _Merged.apply(*own, said, peers, heard)  # type: ignore[no-untyped-call]
    _check_several(told)
    shape = spec.channels
    return Moments(mean.view(shape), var.view(shape), count), sum(other.count for other in told)


def _check_several(told: list[Said]) -> None:
    positions = sum(said.positions for said in told)
    if positions < 2:
        kind = OneValuePerChannel if positions else EmptyBatch
        raise kind(
            "training needs more than one value for each channel, on all ranks together",
            got=f"{positions} on {told[0].layer}",
            do="use larger batches (drop_last=True in the loader), or eval()",
        )


def _normalized(
    spec: Spec, x: Tensor, whole: Moments, vectors: Vectors, residual: Tensor | None
) -> Tensor:
    """Normalize by moments, with their gradient, on the kernels for constant ones.

    With m₀ and rstd₀ the values as constants, (x − m)·rstd·w + b is
    (x − m₀)·rstd₀·(w·rstd/rstd₀) + (b + w·rstd·(m₀ − m)): w and b in value, to the bit, while the
    gradients of m and v go through them.
    """
    if x.numel() == 0:  # a kernel may leave out what the other ranks wait for
        shape = spec.vector_shape(x.ndim)
        stats = Moments(whole.mean.view(shape), whole.var.view(shape), whole.count)
        return by_moments(spec, x, stats, vectors, residual)
    mean, var = whole.mean.detach(), whole.var.detach()
    weight, bias = vectors
    if differentiated(whole.mean, whole.var):
        rstd = (whole.var + spec.eps).rsqrt()
        times, shift = rstd / rstd.detach(), rstd * (mean - whole.mean)
        scale = times if weight is None else weight.to(rstd.dtype) * times
        shift = shift if weight is None else weight.to(rstd.dtype) * shift
        weight, bias = scale, shift if bias is None else bias.to(rstd.dtype) + shift
    return by_statistics(spec, x, mean, var, (weight, bias), residual)


class _Merged(torch.autograd.Function):
    """Chan's rule over the ranks. With N = Σ n the derivatives of m = Σ nᵢ·mᵢ / N and
    v = Σ nᵢ·(vᵢ + (mᵢ − m)²) / N are those below; that of v in m is Σ nᵢ·(m − mᵢ) = 0.
    """

    @staticmethod
    def forward(
        ctx: Any,
        mean: Tensor,
        var: Tensor,
        count: Tensor,
        said: Said,
        peers: Peers,
        whole: Merged | None,
    ) -> tuple[Tensor, Tensor, Tensor, list[Said]]:
        if whole is None:  # else the message has been
            whole = merged(*peers.exchange(said, torch.stack([mean, var])))
        shape = mean.shape
        both = whole.mean.view(shape), whole.var.view(shape)
        total = torch.full_like(count, whole.count)
        ctx.save_for_backward(mean, var, count, *both, total)
        ctx.peers, ctx.said = peers, said
        return *both, total, whole.told

    @staticmethod
    def backward(
        ctx: Any, dmean: Tensor, dvar: Tensor, dcount: Tensor, _: None
    ) -> tuple[Tensor | None, ...]:
        own_mean, own_var, count, mean, var, total = ctx.saved_tensors
        sums = torch.cat([dmean.flatten(), dvar.flatten(), dcount.to(dmean.dtype).view(1)])
        summed = ctx.peers.total(sums, ctx.said)
        dmean, dvar = summed[:-1].view(2, *mean.shape)
        apart, share = own_mean - mean, (count / total).to(mean.dtype)
        to_count = None
        if ctx.needs_input_grad[2]:
            pull = dmean * apart + dvar * (own_var + apart.square() - var)
            to_count = summed[-1].double() + pull.double().sum() / total
        return share * (dmean + 2 * dvar * apart), share * dvar, to_count, None, None, None
