"""Normalization: by given statistics, by the batch's own, and with running ones."""

from math import prod

import torch
from torch import Tensor

from evenkeel import autograd
from evenkeel.errors import BadOption, BadShape, NoStatistics, OneValuePerChannel
from evenkeel.functional import shortcut
from evenkeel.functional.statistics import Moments, all_finite, var_unbiased
from evenkeel.kernels.activations import ACTIVATIONS
from evenkeel.views import (
    Axes,
    axes_of,
    check_broadcast,
    check_eps,
    check_float,
    check_like,
    check_not_empty,
    check_vector,
    statistics_dtype,
)


def batch_normalization(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    offset: Tensor | None,
    scale: Tensor | None,
    eps: float,
) -> Tensor:
    """Normalize by given statistics; everything broadcasts against ``x``.

    Math:    y = scale · (x − mean) / √(variance + eps) + offset
    Shapes:  mean, variance, offset, scale broadcast to x from the right, as NumPy's rules say
    Dtypes:  computed in f32 (f64 for f64), returned in the dtype of x
    Error:   f32: 4·2⁻²⁴·(|y − offset| + |offset|); then rounded to the dtype of x
    Raises:  BadDtype, BadShape, BadOption for an eps that is negative, infinite or NaN
    Source:  tf.nn.batch_normalization, which works in the dtype of x throughout

    >>> x = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    >>> mean, var = x.mean(0), x.var(0, correction=0)
    >>> batch_normalization(x, mean, var, None, None, 0.0)
    tensor([[-1., -1.],
            [ 1.,  1.]])
    """
    check_float(x)
    check_eps(eps)
    for name, operand in (
        ("mean", mean),
        ("variance", variance),
        ("offset", offset),
        ("scale", scale),
    ):
        if operand is not None:
            check_broadcast(operand, x, name)
    dtype = statistics_dtype(x)
    rstd = (variance.to(dtype) + eps).rsqrt()
    y = (x.to(dtype) - mean.to(dtype)) * (rstd if scale is None else rstd * scale.to(dtype))
    y = y if offset is None else y + offset.to(dtype)
    return y.to(x.dtype)


def fused_batch_norm(
    x: Tensor,
    scale: Tensor | None,
    offset: Tensor | None,
    mean: Tensor | None = None,
    variance: Tensor | None = None,
    *,
    eps: float = 1e-3,
    training: bool = True,
    channel_axis: Axes = 1,
    activation: str | None = None,
    residual: Tensor | None = None,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalization in one call, with the statistics it used.

    Math:    y = activation(scale · (x − m) / √(v + eps) + offset + residual)
             training:  m, v the batch's mean and biased variance
             inference: m, v the given ``mean`` and ``variance``
    Shapes:  x any, C at ``channel_axis`` (several axes: one parameter for each of their positions);
             scale, offset, mean, variance [C]; residual as x; out as x
    Returns: y, batch_mean [C], batch_var [C]: the variance with Bessel's correction n/(n − 1), the
             variance itself when n = 1; in inference the given mean and variance.
             They carry no gradient, and the given ones get none: use ``moments`` and
             ``batch_normalization`` where one is needed.
    Dtypes:  y as x; statistics f32 (f64 for f64)
    Error:   statistics as ``moments``. y in f32, with n the normalized value and κ = |m|/√(v + eps):
             6·2⁻²⁴·(|scale|·(1 + |n| + κ) + |offset|); gradients lose the same factor 1 + |n| + κ
    Memory:  inference without gradients may write y into ``out``, which may be x itself
    Raises:  BadDtype, BadAxis, BadShape, EmptyBatch, BadOption, UnknownName (activation)
    Source:  tf.nn.fused_batch_norm; eps below 1.001e-5, which TensorFlow raises silently, is kept

    >>> y, mean, var = fused_batch_norm(torch.tensor([[1.0], [3.0]]), None, None, eps=0.0)
    >>> y.flatten(), mean, var
    (tensor([-1.,  1.]), tensor([2.]), tensor([2.]))
    """
    _check_options(training, mean, variance, eps)
    _check_out(out, training)
    if training:
        y, stats = normalize_by_batch(
            x,
            scale,
            offset,
            eps=eps,
            channel_axis=channel_axis,
            activation=activation,
            residual=residual,
        )
        return y, stats.mean, var_unbiased(stats)
    y = normalize_by(
        x,
        mean,  # type: ignore[arg-type]  # _check_options made sure
        variance,  # type: ignore[arg-type]
        scale,
        offset,
        eps=eps,
        channel_axis=channel_axis,
        activation=activation,
        residual=residual,
        out=out,
    )
    return y, mean, variance  # type: ignore[return-value]


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    activation: str | None = None,
    residual: Tensor | None = None,
    channel_axis: Axes = 1,
    out: Tensor | None = None,
) -> Tensor:
    """Batch normalization with running statistics, which training moves in place.

    Math:    as ``fused_batch_norm``; training also sets
             running ← (1 − momentum) · running + momentum · batch, the variance with n/(n − 1)
    Shapes:  input any, C at ``channel_axis``; vectors [C]; residual and out as input
    Memory:  inference without gradients may write y into ``out``, which may be input itself
    Policy:  a batch whose statistics are not finite leaves the running ones as they were
    Raises:  as ``fused_batch_norm``; OneValuePerChannel in training when n = 1, NoStatistics in
             inference without running statistics
    Source:  torch.nn.functional.batch_norm, which lets NaN into the running statistics

    >>> running_mean, running_var = torch.zeros(1), torch.ones(1)
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> batch_norm(x, running_mean, running_var, training=True, momentum=0.5).shape
    torch.Size([2, 1])
    >>> running_mean, running_var
    (tensor([1.]), tensor([1.5000]))
    """
    vectors = weight, bias, running_mean, running_var
    kind = None
    if residual is None:
        kind = shortcut.kind_of(input, training, channel_axis, eps, activation)
        y = shortcut.run(kind, input, *vectors, momentum, out)
        if y is not None:
            return y
    check_eps(eps)
    _check_out(out, training)
    _check_running(input, channel_axis, running_mean, running_var, training)
    rest = eps, channel_axis, activation, residual
    if training:
        return _batch_norm_moving(kind, input, vectors, momentum, *rest)
    y = normalize_by(
        input,
        running_mean,  # type: ignore[arg-type]  # _check_running made sure
        running_var,  # type: ignore[arg-type]
        weight,
        bias,
        eps=eps,
        channel_axis=channel_axis,
        activation=activation,
        residual=residual,
        out=out,
    )
    shortcut.learn(kind, input, running_mean)
    return y


def _batch_norm_moving(
    kind: shortcut.Kind | None,
    x: Tensor,
    vectors: tuple[Tensor | None, ...],
    momentum: float,
    eps: float,
    channel_axis: Axes,
    activation: str | None,
    residual: Tensor | None,
) -> Tensor:
    """Normalize by the batch and move the running statistics; everything but x was checked."""
    weight, bias, mean, var = vectors
    check_several(x, channel_axis)
    axes = _checked_axes(x, channel_axis, (weight, bias), residual, activation)
    if shortcut.learn(kind, x, mean):
        y = shortcut.run(kind, x, weight, bias, mean, var, momentum)
        if y is not None:  # the first call of a kind gives the bits of all others
            return y
    y, stats = _by_batch(x, (weight, bias), eps, axes, residual, activation)
    if not autograd.recomputing():
        _move(mean, var, stats, float(momentum))
    return y


def _move(mean: Tensor | None, var: Tensor | None, stats: Moments, momentum: float) -> None:
    sane = all_finite(stats)
    for running, batch in ((mean, stats.mean), (var, var_unbiased(stats))):
        if running is not None:
            new = blend(running.detach(), batch, momentum)
            running.detach().copy_(torch.where(sane, new, running.detach()))


def normalize_by_batch(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    *,
    eps: float,
    channel_axis: Axes = 1,
    activation: str | None = None,
    residual: Tensor | None = None,
) -> tuple[Tensor, Moments]:
    """Normalize by the batch's own statistics; also those: mean, biased var [C], without gradient."""
    axes = _checked_axes(x, channel_axis, (weight, bias), residual, activation)
    return _by_batch(x, (weight, bias), eps, axes, residual, activation)


def _checked_axes(
    x: Tensor,
    channel_axis: Axes,
    vectors: tuple[Tensor | None, Tensor | None],
    residual: Tensor | None,
    activation: str | None,
) -> tuple[int, ...]:
    """The channels' axes, once all operands of a training call are known to be right."""
    check_float(x)
    axes = axes_of(channel_axis, x.ndim)
    _check_operands(x, axes, vectors, residual, activation)
    check_not_empty(x, axes)
    return axes


def _by_batch(
    x: Tensor,
    vectors: tuple[Tensor | None, Tensor | None],
    eps: float,
    axes: tuple[int, ...],
    residual: Tensor | None,
    activation: str | None,
) -> tuple[Tensor, Moments]:
    flat = autograd.flat(vectors[0]), autograd.flat(vectors[1])
    y, mean, var = autograd.train(x, *flat, eps, axes, residual, activation)
    sizes = tuple(x.shape[a] for a in axes)
    return y, Moments(mean.view(sizes), var.view(sizes), x.numel() // prod(sizes))


def normalize_by(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    *,
    eps: float,
    channel_axis: Axes = 1,
    activation: str | None = None,
    residual: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Normalize by given statistics [C], which get no gradient whatever kernel runs."""
    check_float(x)
    axes = axes_of(channel_axis, x.ndim)
    sizes = _check_operands(x, axes, (weight, bias), residual, activation)
    check_vector(mean, sizes, "mean")
    check_vector(var, sizes, "variance")
    mean, var = mean.detach().flatten(), var.detach().flatten()
    vectors = autograd.flat(weight), autograd.flat(bias)
    if out is None:
        return autograd.normalize(x, mean, var, *vectors, eps, axes, residual, activation)
    check_like(out, x, "out")
    return autograd.normalize_into(out, x, mean, var, *vectors, eps, axes, residual, activation)


def blend(running: Tensor, batch: Tensor, weight: float | Tensor) -> Tensor:
    """Running + weight · (batch − running): the new running statistic.

    >>> blend(torch.tensor(0.0), torch.tensor(10.0), 0.1)
    tensor(1.)
    """
    new = batch.to(running.dtype)
    return torch.lerp(running, new, weight.to(new) if isinstance(weight, Tensor) else float(weight))


def check_several(x: Tensor, channel_axis: Axes) -> None:
    """Raise OneValuePerChannel when training statistics would be those of a single value."""
    check_float(x)
    axes = axes_of(channel_axis, x.ndim)
    if x.numel() == prod([x.shape[axis] for axis in axes]) > 0:
        raise OneValuePerChannel(
            "training needs more than one value for each channel",
            got=f"x of shape {list(x.shape)}, channel axes {list(axes)}: one value each",
            do="use a larger batch (drop_last=True in the loader), or eval() to use running statistics",
        )


def _check_running(
    x: Tensor, channel_axis: Axes, mean: Tensor | None, var: Tensor | None, training: bool
) -> None:
    """Before anything moves: a failure between the two would leave one of them moved."""
    if not training and (mean is None or var is None):
        raise NoStatistics(
            "inference needs running statistics",
            got=f"running_mean {_given(mean)}, running_var {_given(var)}",
            do="give both, or training=True to normalize by the batch",
        )
    check_float(x)
    sizes = tuple(x.shape[a] for a in axes_of(channel_axis, x.ndim))
    check_vector(mean, sizes, "running_mean")
    check_vector(var, sizes, "running_var")


def _check_out(out: Tensor | None, training: bool) -> None:
    if out is not None and training:
        raise BadOption(
            "training cannot write into a given tensor: the backward pass needs x and y as they were",
            got="training=True, out given",
            do="leave out= away",
        )


def _given(value: Tensor | None) -> str:
    return "None" if value is None else "given"


def _check_operands(
    x: Tensor,
    axes: tuple[int, ...],
    vectors: tuple[Tensor | None, Tensor | None],
    residual: Tensor | None,
    activation: str | None,
) -> tuple[int, ...]:
    if activation is not None:
        ACTIVATIONS[activation]  # a miss names its neighbours
    sizes = tuple(x.shape[a] for a in axes)
    if 0 in sizes:
        raise BadShape(
            "x has no channels",
            got=f"x of shape {list(x.shape)}, channel axes {list(axes)}",
            do="give at least one channel",
        )
    check_vector(vectors[0], sizes, "weight (scale)")
    check_vector(vectors[1], sizes, "bias (offset)")
    if residual is not None:
        check_like(residual, x, "residual")
    return sizes


def _check_options(
    training: bool, mean: Tensor | None, variance: Tensor | None, eps: float
) -> None:
    check_eps(eps)
    if training != (mean is None and variance is None) or (mean is None) != (variance is None):
        raise BadOption(
            "training takes the batch's statistics, inference the given ones",
            got=f"training={training}, mean {_given(mean)}, variance {_given(variance)}",
            do="give both mean and variance with training=False, and neither with training=True",
        )
