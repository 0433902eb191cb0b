"""A native call as torch's autograd sees it: forward, backward, and backward again by formula."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from evenkeel.kernels import KERNELS, Call, choose
from evenkeel.kernels.activations import ACTIVATIONS, derivative_from_output
from evenkeel.kernels.backward import native as native_backward
from evenkeel.kernels.fused import composite
from evenkeel.kernels.fused import native as native_train
from evenkeel.kernels.fused.native import MEAN, RSTD, Moved, Trained
from evenkeel.kernels.normalize import native as native_normalize
from evenkeel.kernels.plan import Plan

Vectors = tuple[Tensor | None, Tensor | None]

# torch's contexts get their attributes at run time: Any.


class Train(torch.autograd.Function):
    """A whole native training call."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        residual: Tensor | None,
        plan: Plan,
        moved: Moved | None,
    ) -> tuple[Tensor, Trained]:
        y, trained = native_train.forward(plan, x, weight, bias, residual, moved)
        y_kept, residual_kept = needed(plan.activation, y, residual)
        ctx.save_for_backward(x, y_kept, residual_kept, weight, bias, trained[0])
        ctx.plan = plan
        ctx.set_materialize_grads(False)
        return y, trained  # a tuple is no tensor to autograd: it passes as it is

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        return *_gradients(ctx, dy, frozen=False), None, None


class Normalize(torch.autograd.Function):
    """A whole native call by given statistics."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        residual: Tensor | None,
        mean: Tensor,
        var: Tensor,
        plan: Plan,
    ) -> Tensor:
        saved = torch.empty((5, plan.head[1]), dtype=plan.statistics)
        y = native_normalize.forward(plan, x, mean, var, weight, bias, residual, saved=saved)
        y_kept, residual_kept = needed(plan.activation, y, residual)
        ctx.save_for_backward(x, y_kept, residual_kept, weight, bias, saved)
        ctx.plan = plan
        ctx.set_materialize_grads(False)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None) -> tuple[Tensor | None, ...]:
        return *_gradients(ctx, dy, frozen=True), None, None, None


# torch's own ``apply`` asks first whether torch.func is at work, which ``Call.mode`` has answered.
apply_train = super(torch.autograd.Function, Train).apply
apply_normalize = super(torch.autograd.Function, Normalize).apply


def needed(activation: str | None, y: Tensor, residual: Tensor | None) -> Vectors:
    """Of y and residual the one that tells the activation's derivative; none where x does."""
    if residual is None or not activation:
        return None, None
    by_output = native_backward.by_output(activation, y.dtype)
    return (y, None) if by_output else (None, residual)


def _gradients(ctx: Any, dy: Tensor | None, *, frozen: bool) -> Sequence[Tensor | None]:
    """Of x, weight, bias, residual."""
    if dy is None:
        return None, None, None, None
    x, y, residual, weight, bias, statistics = ctx.saved_tensors
    wanted = ctx.needs_input_grad
    if torch.is_grad_enabled():
        given = (statistics[MEAN], statistics[RSTD]) if frozen else None
        return by_formula(dy, x, y, residual, (weight, bias), given, ctx.plan, wanted)
    return native_backward.run(
        ctx.plan, dy, x, y, residual, weight, bias, statistics, wanted, frozen
    )


def by_formula(
    dy: Tensor,
    x: Tensor,
    y: Tensor | None,
    residual: Tensor | None,
    vectors: Vectors,
    given: tuple[Tensor, Tensor] | Callable[[Tensor], tuple[Tensor, Tensor]] | None,
    plan: Plan,
    wanted: Sequence[bool],
) -> Sequence[Tensor | None]:
    """The gradients of x, weight, bias, residual in torch's operators, to be differentiated again.

    ``given``: mean and rstd where they are constants, or how they come from x; None where they are the
    batch's.
    """
    axes, activation = plan.call.axes, plan.activation
    # Views: weight and bias may have been computed from x, and that way is not this call's to go.
    x, (weight, bias) = x.view_as(x), (None if v is None else v.view_as(v) for v in vectors)
    vectors = weight, bias
    if given is None:
        t = composite.by_batch(x, *vectors, plan.eps, axes)[0]
    else:
        mean, rstd = given(x) if callable(given) else given
        t = composite.by_given(x, mean, rstd, *vectors, axes)
    if y is not None:
        dt = derivative_from_output(activation, dy, y)
    elif activation is not None:
        t_in = t if residual is None else t + residual
        t_out = ACTIVATIONS[activation](t_in.clone())  # which may overwrite what it is given
        (dt,) = torch.autograd.grad(t_out, t_in, dy, create_graph=True)
    else:
        dt = dy
    inputs = zip((x, *vectors), wanted, strict=False)
    leaves = [v for v, want in inputs if want and v is not None]
    gradients = iter(torch.autograd.grad(t, leaves, dt, create_graph=True) if leaves else ())
    return *(next(gradients) if want else None for want in wanted[:3]), dt if wanted[3] else None


class Moments(torch.autograd.Function):
    """A native call for moments. Its derivative is one in torch's operators at once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, axes: tuple[int, ...], run: Any) -> tuple[Tensor, Tensor]:
        mean, var = run(x, axes)
        ctx.save_for_backward(x, mean)
        return mean, var

    @staticmethod
    def backward(ctx: Any, dmean: Tensor, dvar: Tensor) -> tuple[Tensor, None, None]:
        x, mean = ctx.saved_tensors
        count = x.numel() // mean.numel()
        dx = dmean / count + (dvar * 2 / count) * (x.to(mean.dtype) - mean)
        return dx.to(x.dtype), None, None


class ByRow(torch.autograd.Function):
    """A forward kernel that torch cannot differentiate; backward on the backward kernels."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        y, mean, var = choose(KERNELS["train"], Call.of(x)).run(x, weight, bias, eps)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var)
        ctx.save_for_backward(x, weight, mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var = ctx.saved_tensors
        rows = KERNELS["backward"]
        if torch.is_grad_enabled():  # to be differentiated again
            rows = tuple(row for row in rows if row.differentiable)
        kernel = choose(rows, Call.of(x))
        gradients = kernel.run(dy, x, weight, mean, (var + ctx.eps).rsqrt(), ctx.eps)
        wanted = zip(gradients, ctx.needs_input_grad, strict=False)
        return *(gradient if need else None for gradient, need in wanted), None
