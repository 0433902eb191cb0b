"""Batch normalization as differentiable calls, whatever kernel runs them: forward, backward, twice.

Kernels that torch differentiates itself run as they are. The native ones do a whole call at once and
are differentiated here; a second derivative goes by the formula in torch's operators (``by_formula``).
"""

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from evenkeel.autograd import compiled
from evenkeel.autograd.functions import ByRow, Moments, Vectors, apply_normalize, apply_train
from evenkeel.errors import BadOption
from evenkeel.kernels import KERNELS, Call, Kernel, choose, library
from evenkeel.kernels.activations import finish
from evenkeel.kernels.fused import native as native_train
from evenkeel.kernels.fused.native import MEAN, VAR, Moved
from evenkeel.kernels.normalize import native as native_normalize
from evenkeel.kernels.plan import Plan, plan_of
from evenkeel.kernels.table import mode_of
from evenkeel.views import statistics_dtype


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
    if compiled.at_work():
        return compiled.train(x, weight, bias, eps, axes, residual, activation)
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
            y, trained = apply_train(x, *vectors, rest, plan, None)  # type: ignore[no-untyped-call]
        else:
            y, trained = native_train.forward(plan, x, *vectors, rest, None)
        return y, trained[0][MEAN], trained[0][VAR]
    rows = call.rows_of_x
    y, mean, var = _by_row(kernel, rows.of(x), *widened(x, weight, bias), eps)
    y = finish(y, None if residual is None else rows.of(residual), activation)
    return rows.back(y), mean, var


def plan_moving(call: Call, running: Tensor, eps: float, activation: str | None) -> Plan | None:
    """How to train and move running statistics like this in one call; None where no kernel can."""
    return _plan_with("train", call, running, eps, activation)


def plan_given(call: Call, running: Tensor, eps: float, activation: str | None) -> Plan | None:
    """How to normalize by statistics like this in one call; None where no kernel can."""
    return _plan_with("normalize", call, running, eps, activation)


def _plan_with(
    operation: str, call: Call, running: Tensor, eps: float, activation: str | None
) -> Plan | None:
    if call.view is None or not choose(KERNELS[operation], call).whole:
        return None
    dtype, shape = running.dtype, tuple(running.shape)
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
    mean, var, _, _, batches = moved
    if not plan.fits(weight, bias, mean, var):
        return None
    if residual is not None:
        residual = library.alike(residual, x)
    if differentiated(x, weight, bias, residual):
        y, trained = apply_train(x, weight, bias, residual, plan, moved)  # type: ignore[no-untyped-call]
    else:
        y, trained = native_train.forward(plan, x, weight, bias, residual, moved)
    # What autograd saved of them for somebody's backward pass is no longer what it was.
    increment_version((mean, var) if batches is None else (mean, var, batches))
    return y, trained[1]


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
    if compiled.at_work():
        return compiled.normalize(x, mean, var, weight, bias, eps, axes, residual, activation)
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
    plan, given, vectors, rest = _prepared(
        call, x, (mean, var), (weight, bias), residual, eps, activation
    )
    if differentiated(x, weight, bias, residual):
        y = apply_normalize(x, *vectors, rest, *given, plan)  # type: ignore[no-untyped-call]
    else:
        y = native_normalize.forward(plan, x, *given, *vectors, rest)
    return y  # type: ignore[no-any-return]


def _prepared(
    call: Call,
    x: Tensor,
    given: tuple[Tensor, Tensor],
    vectors: Vectors,
    residual: Tensor | None,
    eps: float,
    activation: str | None,
) -> tuple[Plan, tuple[Tensor, Tensor], Vectors, Tensor | None]:
    """The plan of a native call by given statistics, and its operands as they go over."""
    plan = plan_of(call, library.parameter_dtype(x, *vectors, *given), eps, activation)
    fitting = plan.suited(vectors[0]), plan.suited(vectors[1])
    rest = None if residual is None else library.alike(residual, x)
    return plan, (plan.surely(given[0]), plan.surely(given[1])), fitting, rest


def normalize_planned(
    plan: Plan,
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    *,
    out: Tensor | None = None,
) -> Tensor | None:
    """``normalize`` by a plan, also into ``out``; None where a vector or ``out`` does not fit."""
    if not plan.fits(weight, bias, mean, var):
        return None
    if residual is not None:
        residual = library.alike(residual, x)
    if differentiated(x, weight, bias, residual, out):
        if out is not None:
            return None
        return apply_normalize(x, weight, bias, residual, mean, var, plan)  # type: ignore[no-any-return, no-untyped-call]
    if out is not None and out is not x and not (_like(out, x) and _takes(out, x, residual)):
        return None
    y = native_normalize.forward(plan, x, mean, var, weight, bias, residual, out=out)
    if out is not None:
        increment_version(out)
    return y


def _like(out: Tensor, x: Tensor) -> bool:
    return out.shape == x.shape and out.dtype is x.dtype and out.is_cpu and not mode_of(out)


def normalize_into(
    out: Tensor,
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    axes: tuple[int, ...],
    residual: Tensor | None,
    activation: str | None,
) -> Tensor:
    """``normalize`` written into ``out``, which may be x.

    Raises:  BadOption when gradients are wanted: what they need would be overwritten
    """
    if differentiated(x, weight, bias, residual, out):
        raise BadOption(
            "out= overwrites what gradients need",
            got="an input that requires a gradient",
            do="call it under torch.no_grad(), or leave out= away",
        )
    call = Call.of(x, axes)
    gaps = call.view is None and not call.mode
    whole = not gaps and choose(KERNELS["normalize"], call).whole
    if not whole or not _takes(out, x, residual):
        return out.copy_(normalize(x, mean, var, weight, bias, eps, axes, residual, activation))
    plan, given, vectors, rest = _prepared(
        call, x, (mean, var), (weight, bias), residual, eps, activation
    )
    native_normalize.forward(plan, x, *given, *vectors, rest, out=out)
    increment_version(out)
    return out


def _takes(out: Tensor, x: Tensor, residual: Tensor | None) -> bool:
    """Whether a kernel may write y there at once: over x, or over nothing that it reads."""
    if out.stride() != x.stride() or out.is_neg() or out.is_conj():
        return False
    memory = out.untyped_storage().data_ptr()
    if residual is not None and residual.untyped_storage().data_ptr() == memory:
        return False
    return out.data_ptr() == x.data_ptr() or x.untyped_storage().data_ptr() != memory


def moments(x: Tensor, axes: tuple[int, ...], call: Call) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over ``axes``, kept as axes of size 1; differentiable twice."""
    kernel = choose(KERNELS["moments"], call)
    if kernel.differentiable or not differentiated(x):
        mean, var = kernel.run(x, axes)
    else:
        mean, var = Moments.apply(x, axes, kernel.run)  # type: ignore[no-untyped-call]
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
        y, mean, var = ByRow.apply(x, weight, bias, eps)  # type: ignore[no-untyped-call]
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
