"""Batch normalization as differentiable calls, whatever kernel runs them: forward, backward, twice.

Kernels that torch differentiates itself run as they are. The native ones do a whole call at once and
are differentiated here; a second derivative goes by the formula in torch's operators (``by_formula``).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from evenkeel.kernels import KERNELS, Call, Kernel, choose, library
from evenkeel.kernels.activations import ACTIVATIONS, derivative_from_output, finish
from evenkeel.kernels.backward import native as native_backward
from evenkeel.kernels.fused import composite
from evenkeel.kernels.fused import native as native_train
from evenkeel.kernels.fused.native import MEAN, RSTD, VAR, Moved, Trained
from evenkeel.kernels.normalize import native as native_normalize
from evenkeel.kernels.plan import Plan, plan_of
from evenkeel.views import statistics_dtype

__all__ = ["Moved", "moments", "normalize", "plan_moving", "recomputing", "train", "train_moving"]

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
    if kernel.whole:
        plan = plan_of(call, library.parameter_dtype(x, weight, bias), eps, activation)
        vectors = plan.suited(weight), plan.suited(bias)
        rest = None if residual is None else library.alike(residual, x)
        if differentiated(x, weight, bias, residual):
            y, trained = _apply_train(x, *vectors, rest, plan, None)  # type: ignore[no-untyped-call]
        else:
            y, trained = native_train.forward(plan, x, *vectors, rest, None)
        return y, trained.statistics[MEAN], trained.statistics[VAR]
    rows = call.rows_of_x
    y, mean, var = _by_row(kernel, rows.of(x), *widened(x, weight, bias), eps)
    y = finish(y, None if residual is None else rows.of(residual), activation)
    return rows.back(y), mean, var


def plan_moving(
    call: Call,
    vectors: Vectors,
    running: tuple[Tensor, Tensor],
    eps: float,
    activation: str | None,
) -> Plan | None:
    """How to train and move these running statistics in one call; None where no kernel can."""
    if call.view is None or not choose(KERNELS["train"], call).whole:
        return None
    dtype, shape = running[0].dtype, tuple(running[0].shape)
    if dtype not in (call.dtype, torch.float64 if call.dtype == torch.float64 else torch.float32):
        return None
    return plan_of(call, dtype, eps, activation, shape)


def train_moving(
    plan: Plan,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    moved: Moved,
) -> tuple[Tensor, bool] | None:
    """``train`` that also moves running statistics, in one call: y, and whether the batch was finite.

    A batch that is not finite moves nothing. None where a vector does not fit the plan.
    """
    fits = plan.fits
    if not (fits(weight) and fits(bias) and fits(moved.mean) and fits(moved.var)):
        return None
    if residual is not None:
        residual = library.alike(residual, x)
    if differentiated(x, weight, bias, residual):
        y, trained = _apply_train(x, weight, bias, residual, plan, moved)  # type: ignore[no-untyped-call]
    else:
        y, trained = native_train.forward(plan, x, weight, bias, residual, moved)
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
    if not kernel.whole:
        rows = call.rows_of_x
        y = kernel.run(rows.of(x), *widened(x, mean, var), *widened(x, weight, bias), eps)
        y = finish(y, None if residual is None else rows.of(residual), activation)
        return rows.back(y)
    dtype = library.parameter_dtype(x, weight, bias, mean, var)
    plan = plan_of(call, dtype, eps, activation)
    vectors, given = (plan.suited(weight), plan.suited(bias)), (plan.surely(mean), plan.surely(var))
    rest = None if residual is None else library.alike(residual, x)
    if differentiated(x, weight, bias, residual):
        y = _Normalize.apply(x, *vectors, rest, *given, plan)  # type: ignore[no-untyped-call]
    else:
        y = native_normalize.forward(plan, x, *given, *vectors, rest)
    return y  # type: ignore[no-any-return]


def moments(x: Tensor, axes: tuple[int, ...], call: Call) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over ``axes``, kept as axes of size 1; differentiable twice."""
    kernel = choose(KERNELS["moments"], call)
    if kernel.differentiable or not differentiated(x):
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


def recomputing() -> bool:
    """Whether a backward pass is running, so that a forward call now repeats one that has been.

    torch.utils.checkpoint and its like run a forward twice, the second time inside of backward: running
    statistics have moved by then and must not move again (torch's own do).
    """
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


def differentiated(*tensors: Tensor | None) -> bool:
    """Whether autograd must know of a call with these inputs."""
    if torch.is_grad_enabled():
        for tensor in tensors:  # a loop: any() over a generator takes twice the time
            if tensor is not None and tensor.requires_grad:
                return True
    return False


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
        plan: Plan,
        moved: Moved | None,
    ) -> tuple[Tensor, Trained]:
        y, trained = native_train.forward(plan, x, weight, bias, residual, moved)
        y_kept = residual_kept = None
        if residual is not None and plan.activation:
            y_kept, residual_kept = _needed(plan, y, residual)
        ctx.save_for_backward(x, y_kept, residual_kept, weight, bias, trained.statistics)
        ctx.plan = plan
        ctx.set_materialize_grads(False)
        return y, trained  # a Trained is no tensor to autograd: it passes as it is

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        return *_gradients(ctx, dy, frozen=False), None, None


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
        plan: Plan,
    ) -> Tensor:
        saved = torch.empty((5, plan.head[1]), dtype=plan.statistics)
        y = native_normalize.forward(plan, x, mean, var, weight, bias, residual, saved=saved)
        y_kept = residual_kept = None
        if residual is not None and plan.activation:
            y_kept, residual_kept = _needed(plan, y, residual)
        ctx.save_for_backward(x, y_kept, residual_kept, weight, bias, saved)
        ctx.plan = plan
        ctx.set_materialize_grads(False)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None) -> tuple[Tensor | None, ...]:
        return *_gradients(ctx, dy, frozen=True), None, None, None


# torch's own ``apply`` asks first whether torch.func is at work, which ``Call.mode`` has answered.
_apply_train = super(torch.autograd.Function, _Train).apply


def _needed(plan: Plan, y: Tensor, residual: Tensor) -> Vectors:
    """Of y and residual the one that tells the activation's derivative."""
    by_output = native_backward.by_output(plan.activation, y.dtype)
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
    given: tuple[Tensor, Tensor] | None,
    plan: Plan,
    wanted: Sequence[bool],
) -> Sequence[Tensor | None]:
    """The gradients of x, weight, bias, residual in torch's operators, to be differentiated again.

    ``given``: mean and rstd where they are constants, None where they are the batch's.
    """
    axes, activation = plan.call.axes, plan.activation
    if given is None:
        t = composite.by_batch(x, *vectors, plan.eps, axes)[0]
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
