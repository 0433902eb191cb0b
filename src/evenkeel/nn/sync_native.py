"""SyncBatchNorm in native calls: two around the message of each direction.

Forward: moments, message, normalize. Backward: the gradient by constant statistics, whose sums of the
weight and the bias are also those of the statistics; message; what the statistics pass on to x, which
is normalization again, added in place.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from evenkeel.autograd import differentiated, plan_given
from evenkeel.autograd.functions import by_formula, needed
from evenkeel.kernels import Call
from evenkeel.kernels.backward import native as native_backward
from evenkeel.kernels.fused.native import MEAN, RSTD
from evenkeel.kernels.moments import native as native_moments
from evenkeel.kernels.normalize import native as native_normalize
from evenkeel.kernels.plan import Plan, plan_of
from evenkeel.nn.spec import Spec
from evenkeel.nn.steps import Known
from evenkeel.peers import Peers, Said
from evenkeel.views import statistics_dtype


class Merged(NamedTuple):
    """What came of a message: the moments of all ranks' values, and what every rank said."""

    mean: Tensor
    var: Tensor
    count: float  # type: ignore[assignment]  # hides tuple.count on purpose
    told: list[Said]


class Work(NamedTuple):
    """A call on this rank.

    ``again``: mean and 1/√(var + eps) of all ranks' values from x and what came of the message, in
    operators that torch differentiates.
    """

    plan: Plan
    said: Said
    peers: Peers
    again: Callable[[Tensor, Merged], tuple[Tensor, Tensor]]


def known_of(spec: Spec, x: Tensor) -> Known | None:
    """How inputs like ``x`` are taken in native calls; None where they are not."""
    call = Call.of(x, spec.axes(x.ndim))
    if call.view is None or call.mode or not x.numel():
        return None
    like = torch.empty(spec.channels, dtype=statistics_dtype(x), device=x.device)
    plan = plan_given(call, like, spec.eps, spec.activation)
    return None if plan is None else Known.of(spec, x, plan)


def own(plan: Plan, x: Tensor, place: str) -> tuple[Said, Tensor]:
    """What this rank has to say, and its moments [2, C]."""
    count = plan.call.count
    gradient = differentiated(x)
    said = Said(place, plan.head[1], x.dtype, gradient, count, float(count), native=True)
    return said, native_moments.forward(plan, x)


def merged(told: list[Said], parts: Tensor) -> Merged:
    """Chan's rule in f64, in the order of ranks; ``parts``: each rank's mean and variance."""
    total = sum(said.count for said in told)
    shares = [said.count / total if total else float("nan") for said in told]
    share = torch.tensor(shares, dtype=torch.float64, device=parts.device)
    means, spreads = parts.detach().double().view(len(told), 2, -1).unbind(1)
    mean = share @ means
    var = share @ (means - mean).square_().add_(spreads)
    return Merged(mean.to(parts.dtype), var.to(parts.dtype), total, told)


class _Synced(torch.autograd.Function):
    """y by what came of the message."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        residual: Tensor | None,
        work: Work,
        heard: Merged,
    ) -> Tensor:
        plan, mean, var = work.plan, heard.mean, heard.var
        saved = mean.new_empty(5, plan.head[1])
        y = native_normalize.forward(plan, x, mean, var, weight, bias, residual, saved=saved)
        y_kept, residual_kept = needed(plan.activation, y, residual)
        ctx.save_for_backward(x, y_kept, residual_kept, weight, bias, saved)
        ctx.work, ctx.whole = work, heard
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, y, residual, weight, bias, saved = ctx.saved_tensors
        wanted: Sequence[bool] = ctx.needs_input_grad
        plan: Plan = ctx.work.plan
        if torch.is_grad_enabled():
            given = partial(ctx.work.again, whole=ctx.whole)
            return *by_formula(dy, x, y, residual, (weight, bias), given, plan, wanted), None, None
        every = (wanted[0], True, True, wanted[3])
        dx, dweight, dbias, dresidual = native_backward.run(
            plan, dy, x, y, residual, weight, bias, saved, every, frozen=True
        )
        if dx is not None and dweight is not None and dbias is not None:
            add_through_statistics(ctx, dx, x, weight, saved, (dweight, dbias))
        own = dweight if wanted[1] else None, dbias if wanted[2] else None
        return dx, *own, dresidual, None, None


def add_through_statistics(
    ctx: Any,
    dx: Tensor,
    x: Tensor,
    weight: Tensor | None,
    saved: Tensor,
    sums: tuple[Tensor, Tensor],
) -> None:
    """Add to dx what comes through the mean and the variance of all ranks' values.

    With t = Σ dy·n, n the normalized values, and s = Σ dy of each rank: dm = Σ −w·rstd·s and
    dv = Σ −w·rstd²·t / 2 over the ranks; x gets (dm + 2·dv·(x − m)) / N.
    """
    work, whole = ctx.work, ctx.whole
    rstd, channels = saved[RSTD], work.plan.head[1]
    scale = rstd.neg() if weight is None else (weight * rstd).neg_()
    room = rstd.new_zeros(2 * channels + 1)  # the last: of the count, which y does not depend on
    torch.mul(scale, sums[1], out=room[:channels])
    torch.mul(scale * rstd, sums[0], out=room[channels:-1]).mul_(0.5)
    summed = work.peers.total(room, work.said)[:-1].div_(whole.count)
    dmean, dvar = summed.view(2, -1)
    by_x = dvar.mul_(2).div_(rstd)
    plan: Plan = work.plan
    plain = plan_of(plan.call, plan.parameters, plan.eps, None, plan.vector)
    native_normalize.forward(plain, x, saved[MEAN], whole.var, by_x, dmean, dx, out=dx)


apply_synced = super(torch.autograd.Function, _Synced).apply
