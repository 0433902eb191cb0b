"""Batch normalization as differentiable calls, whatever kernel runs them: forward, backward, twice.

Kernels that torch differentiates itself run as they are. The native ones do a whole call at once and
are differentiated here; a second derivative goes by the formula in torch's operators (``by_formula``).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from evenkeel.kernels import KERNELS, Call, Kernel, choose
from evenkeel.kernels.activations import ACTIVATIONS, derivative_from_output, finish
from evenkeel.kernels.backward import native as native_backward
from evenkeel.kernels.fused import composite
from evenkeel.kernels.fused import native as native_train
from evenkeel.kernels.fused.native import MEAN, RSTD, VAR, Moved, Trained
from evenkeel.kernels.normalize import native as native_normalize
from evenkeel.views import NO_VIEW, View, statistics_dtype

__all__ = ["Moved", "moments", "normalize", "train", "train_moving"]

Vectors = tuple[Tensor | None, Tensor | None]


def train(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    axes: tuple[int, ...] = (1,),
    residual: Tensor | None = None,
    activation: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """activation(normalized x + residual), batch mean [C], biased batch variance [C].

    The statistics carry no gradient of their own; y is differentiable twice in all its inputs.
    """
    call = Call.of(x, axes)
    if call.view is None and not call.mode:  # gaps in memory: one copy, and every kernel can run
        rows = call.rows_of_x
        rest = None if residual is None else rows.of(residual)
        y, mean, var = train(rows.of(x).contiguous(), weight, bias, eps, (1,), rest, activation)
        return rows.back(y), mean, var
    kernel = choose(KERNELS["train"], call)
    if kernel.whole and call.view is not None:
        y, trained = _whole(x, call, weight, bias, eps, residual, activation, None)
        return y, trained.statistics[MEAN], trained.statistics[VAR]
    rows = call.rows_of_x
    y, mean, var = _by_row(kernel, rows.of(x), *widened(x, weight, bias), eps)
    y = finish(y, None if residual is None else rows.of(residual), activation)
    return rows.back(y), mean, var


def train_moving(
    call: Call,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    residual: Tensor | None,
    activation: str | None,
    moved: Moved,
) -> tuple[Tensor, bool] | None:
    """``train`` that also moves running statistics, in one call: y, and whether the batch was finite.

    A batch that is not finite moves nothing. None where no kernel can do it in one call.
    """
    if call.view is None or not choose(KERNELS["train"], call).whole:
        return None
    if not native_train.can_move(x, weight, bias, moved):
        return None
    y, trained = _whole(x, call, flat(weight), flat(bias), eps, residual, activation, moved)
    # What autograd saved of them for somebody's backward pass is no longer what it was.
    torch.autograd.graph.increment_version((moved.mean, moved.var))
    return y, trained.finite


def flat(vector: Tensor | None) -> Tensor | None:
    """Parameters of several channel axes side by side."""
    return vector if vector is None or vector.ndim == 1 else vector.flatten()


def normalize(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    axes: tuple[int, ...] = (1,),
    residual: Tensor | None = None,
    activation: str | None = None,
) -> Tensor:
    """activation(x normalized by mean and var [C] + residual); those two get no gradient."""
    call = Call.of(x, axes)
    if call.view is None and not call.mode:
        rows = call.rows_of_x
        rest = None if residual is None else rows.of(residual)
        x = rows.of(x).contiguous()
        return rows.back(normalize(x, mean, var, weight, bias, eps, (1,), rest, activation))
    kernel = choose(KERNELS["normalize"], call)
    if not kernel.whole or call.view is None:
        rows = call.rows_of_x
        y = kernel.run(rows.of(x), *widened(x, mean, var), *widened(x, weight, bias), eps)
        y = finish(y, None if residual is None else rows.of(residual), activation)
        return rows.back(y)
    if _differentiated(x, weight, bias, residual):
        return _Normalize.apply(  # type: ignore[no-untyped-call, no-any-return]
            x, weight, bias, residual, mean, var, call.view, axes, eps, activation
        )
    return native_normalize.forward(
        x, call.view, mean, var, weight, bias, eps, residual, activation
    )


def moments(x: Tensor, axes: tuple[int, ...], call: Call) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over ``axes``, kept as axes of size 1; differentiable twice."""
    kernel = choose(KERNELS["moments"], call)
    if kernel.differentiable or not _differentiated(x):
        mean, var = kernel.run(x, axes)
    else:
        mean, var = _Moments.apply(x, axes, kernel.run)  # type: ignore[no-untyped-call]
    return mean, var


def widened(x: Tensor, first: Tensor | None, second: Tensor | None) -> Vectors:
    """Two vectors in the statistics' dtype, as torch's kernels take them.

    The second alone is given a first of ones: torch 2.13's double backward drops a bias without weight.
    """
    dtype = statistics_dtype(x)
    first = None if first is None else first.to(dtype)
    second = None if second is None else second.to(dtype)
    if first is None and second is not None:
        first = torch.ones_like(second)
    return first, second


def _by_row(
    kernel: Kernel, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    if kernel.differentiable:
        y, mean, var = kernel.run(x, weight, bias, eps)
    else:
        y, mean, var = _ByRow.apply(x, weight, bias, eps)  # type: ignore[no-untyped-call]
    return y, mean, var


def _differentiated(*tensors: Tensor | None) -> bool:
    if torch.is_grad_enabled():
        for tensor in tensors:  # a loop: any() over a generator takes twice the time
            if tensor is not None and tensor.requires_grad:
                return True
    return False


def _whole(
    x: Tensor,
    call: Call,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    residual: Tensor | None,
    activation: str | None,
    moved: Moved | None,
) -> tuple[Tensor, Trained]:
    view = call.view or NO_VIEW
    if _differentiated(x, weight, bias, residual):
        return _apply_train(  # type: ignore[no-any-return, no-untyped-call]
            x, weight, bias, residual, view, call.axes, eps, activation, moved
        )
    return native_train.forward(x, view, weight, bias, eps, residual, activation, moved)


# torch's contexts get their attributes at run time: Any.


class _Train(torch.autograd.Function):
    """A whole native training call."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        residual: Tensor | None,
        view: View,
        axes: tuple[int, ...],
        eps: float,
        activation: str | None,
        moved: Moved | None,
    ) -> tuple[Tensor, Trained]:
        y, trained = native_train.forward(x, view, weight, bias, eps, residual, activation, moved)
        statistics = trained.statistics
        _keep(ctx, x, y, residual, (weight, bias), statistics, view, axes, eps, activation)
        return y, trained  # a Trained is no tensor to autograd: it passes as it is

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        return *_gradients(ctx, dy, frozen=False), None, None, None, None, None


class _Normalize(torch.autograd.Function):
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
        view: View,
        axes: tuple[int, ...],
        eps: float,
        activation: str | None,
    ) -> Tensor:
        statistics = torch.empty((5, view.channels), dtype=statistics_dtype(x))
        y = native_normalize.forward(
            x, view, mean, var, weight, bias, eps, residual, activation, saved=statistics
        )
        _keep(ctx, x, y, residual, (weight, bias), statistics, view, axes, eps, activation)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None) -> tuple[Tensor | None, ...]:
        return *_gradients(ctx, dy, frozen=True), None, None, None, None, None, None


# torch's own ``apply`` asks first whether torch.func is at work, which ``Call.mode`` has answered.
_apply_train = super(torch.autograd.Function, _Train).apply


def _keep(
    ctx: Any,
    x: Tensor,
    y: Tensor,
    residual: Tensor | None,
    vectors: Vectors,
    statistics: Tensor,
    *given: Any,
) -> None:
    """For the backward pass: x, and of y and residual only what the activation's derivative needs."""
    kept_y = kept_residual = None
    activation = given[-1]
    if residual is not None and activation:
        if native_backward.by_output(activation, x.dtype):
            kept_y = y
        else:
            kept_residual = residual
    ctx.save_for_backward(x, kept_y, kept_residual, *vectors, statistics)
    ctx.given = given
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, dy: Tensor | None, *, frozen: bool) -> Sequence[Tensor | None]:
    """Of x, weight, bias, residual."""
    if dy is None:
        return None, None, None, None
    x, y, residual, weight, bias, statistics = ctx.saved_tensors
    view, axes, eps, activation = ctx.given
    wanted = ctx.needs_input_grad[:4]
    if torch.is_grad_enabled():
        given = (statistics[MEAN], statistics[RSTD]) if frozen else None
        vectors = weight, bias
        return by_formula(dy, x, y, residual, vectors, given, axes, eps, activation, wanted)
    return native_backward.run(
        dy, x, y, residual, weight, bias, statistics, view, activation, wanted, frozen
    )


def by_formula(
    dy: Tensor,
    x: Tensor,
    y: Tensor | None,
    residual: Tensor | None,
    vectors: Vectors,
    given: tuple[Tensor, Tensor] | None,
    axes: tuple[int, ...],
    eps: float,
    activation: str | None,
    wanted: Sequence[bool],
) -> Sequence[Tensor | None]:
    """The gradients of x, weight, bias, residual in torch's operators, to be differentiated again.

    ``given``: mean and rstd where they are constants, None where they are the batch's.
    """
    if given is None:
        t = composite.by_batch(x, *vectors, eps, axes)[0]
    else:
        t = composite.by_given(x, *given, *vectors, axes)
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


class _Moments(torch.autograd.Function):
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


class _ByRow(torch.autograd.Function):
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
