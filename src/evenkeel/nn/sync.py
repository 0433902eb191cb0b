"""SyncBatchNorm: the batch of all processes of a group normalized as one."""

from math import prod
from typing import Any

import torch
from torch import Tensor

from evenkeel.autograd import differentiated
from evenkeel.errors import EmptyBatch, OneValuePerChannel
from evenkeel.functional import moments, weighted_moments
from evenkeel.functional.normalization import normalize_by
from evenkeel.functional.statistics import Moments, merge_nonempty
from evenkeel.nn.batch_norm import BatchNorm
from evenkeel.nn.spec import DEFAULT_EPS, DEFAULT_MOMENTUM, Spec
from evenkeel.nn.steps import Vectors, by_moments, position_weights
from evenkeel.peers import Peers, Said
from evenkeel.views import check_like, other_axes, statistics_dtype


class SyncBatchNorm(BatchNorm):
    """Batch normalization whose batch is that of all processes of a ``torch.distributed`` group.

    Math:    as BatchNorm with N, m and v of all ranks' values together: each rank's count, mean and
             variance go to all in one message and are merged by Chan's rule in f64, in the order of
             ranks. The backward pass adds up the gradients of m and v over the ranks
    Shapes:  as BatchNorm; ranks may hold batches of different sizes, also empty ones [0, C, *]
    Dtypes:  as BatchNorm
    Error:   to one process with the whole batch: 1e-6 relative in f32, 1e-12 in f64
    Cost:    forward one all_gather of 4224 bytes a rank up to 512 channels in f32 (256 in f64), a
             second one for the rest above that; backward one all_reduce of 2C + 1 numbers
    Raises:  as BatchNorm, about the batch of all ranks; RanksDiffer on every rank when they are not
             at the same layer with the same channels and dtype, or when another rank failed
    Source:  Chan, Golub & LeVeque 1983; torch.nn.SyncBatchNorm, which refuses the CPU

    ``group`` is the group of processes, by default all. Inference never communicates; without a
    process group, or alone in one, the layer is a BatchNorm. Gradients are those of the sum of all
    ranks' losses: of x whole, of weight and bias this rank's part (DistributedDataParallel averages).
    ``place`` names the layer in messages; ``ek.convert(model, to="sync")`` sets it to its path.

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
        if not self.training or self.peers.alone:
            return super()._forward_by_batch(x, residual, weights)
        place = self.place or self.spec.kind
        with self.peers.telling(place, x.device):
            x, own, said = _own(self.spec, x, residual, weights, place)
        whole, total = _merged(self.spec, own, said, self.peers)
        y = _normalized(self.spec, x, whole, self._vectors(), residual)
        mean, var = whole.mean.detach(), whole.var.detach()
        exact = weights is None and total.is_integer()  # other ranks may have weights
        count = int(total) if exact else torch.full_like(mean, total)
        self._move(Moments(mean, var, count))
        return y


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


def _merged(spec: Spec, own: Moments, said: Said, peers: Peers) -> tuple[Moments, float]:
    """The moments of all ranks' values, differentiable in this rank's; their count as a number."""
    mean, var, count, told = _Merged.apply(*own, said, peers)  # type: ignore[no-untyped-call]
    positions = sum(other.positions for other in told)
    if positions < 2:
        kind = OneValuePerChannel if positions else EmptyBatch
        raise kind(
            "training needs more than one value for each channel, on all ranks together",
            got=f"{positions} on {said.layer}",
            do="use larger batches (drop_last=True in the loader), or eval()",
        )
    shape = spec.channels
    return Moments(mean.view(shape), var.view(shape), count), sum(other.count for other in told)


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
    return normalize_by(
        x,
        mean,
        var,
        weight,
        bias,
        eps=spec.eps,
        channel_axis=spec.channel_axis,
        activation=spec.activation,
        residual=residual,
    )


class _Merged(torch.autograd.Function):
    """Chan's rule over the ranks. With N = Σ n the derivatives of m = Σ nᵢ·mᵢ / N and
    v = Σ nᵢ·(vᵢ + (mᵢ − m)²) / N are those below; that of v in m is Σ nᵢ·(m − mᵢ) = 0.
    """

    @staticmethod
    def forward(
        ctx: Any, mean: Tensor, var: Tensor, count: Tensor, said: Said, peers: Peers
    ) -> tuple[Tensor, Tensor, Tensor, list[Said]]:
        told, parts = peers.exchange(said, torch.stack([mean, var]))
        each = [
            Moments(part[0].double(), part[1].double(), torch.full_like(count, other.count))
            for part, other in zip(parts, told, strict=True)
        ]
        whole = merge_nonempty(*each)
        merged = whole.mean.to(mean.dtype), whole.var.to(var.dtype)
        total = torch.as_tensor(whole.count)
        ctx.save_for_backward(mean, var, count, *merged, total)
        ctx.peers = peers
        return *merged, total, told

    @staticmethod
    def backward(
        ctx: Any, dmean: Tensor, dvar: Tensor, dcount: Tensor, _: None
    ) -> tuple[Tensor | None, ...]:
        own_mean, own_var, count, mean, var, total = ctx.saved_tensors
        sums = torch.cat([dmean.flatten(), dvar.flatten(), dcount.to(dmean.dtype).view(1)])
        summed = ctx.peers.total(sums)
        dmean, dvar = summed[:-1].view(2, *mean.shape)
        apart, share = own_mean - mean, (count / total).to(mean.dtype)
        to_count = None
        if ctx.needs_input_grad[2]:
            pull = dmean * apart + dvar * (own_var + apart.square() - var)
            to_count = summed[-1].double() + pull.double().sum() / total
        return share * (dmean + 2 * dvar * apart), share * dvar, to_count, None, None
