"""Statistics: moments, weighted moments, and the moments of parts put together."""

from math import inf, prod
from typing import NamedTuple

import torch
from torch import Tensor

from evenkeel import autograd
from evenkeel.errors import BadOption, BadShape, EmptyBatch
from evenkeel.kernels import Call
from evenkeel.kernels.moments.eager import summed
from evenkeel.views import (
    Axes,
    axes_of,
    check_broadcast,
    check_float,
    check_not_empty,
    other_axes,
    statistics_dtype,
)


class Moments(NamedTuple):
    """Mean, biased variance, and the number of values (the sum of weights) behind them."""

    mean: Tensor
    var: Tensor
    count: int | Tensor  # type: ignore[assignment]  # hides tuple.count on purpose


def moments(x: Tensor, axes: Axes, *, keepdims: bool = False) -> Moments:
    """Mean and biased variance over ``axes``.

    Math:    mean = Σ x / count        var = Σ (x − mean)² / count
    Shapes:  x any; mean and var are x's without ``axes`` (with size 1 there if ``keepdims``);
             count is the number of values behind each mean
    Dtypes:  x f16, bf16, f32, f64; mean and var f32 (f64 for f64)
    Error:   f32, |mean|/std ≤ 10⁴, every layout: variance within 1e-5 of itself, mean within
             2⁻²⁴·(|mean| + std), that is, rounded once
    Raises:  BadDtype, BadAxis, EmptyBatch
    Source:  Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 1; tf.nn.moments, whose float16 result
             is float16 where this one is float32

    >>> moments(torch.tensor([[1.0, 10.0], [3.0, 30.0]]), 0)
    Moments(mean=tensor([ 2., 20.]), var=tensor([  1., 100.]), count=2)
    """
    check_float(x)
    over = axes_of(axes, x.ndim)
    kept = other_axes(over, x.ndim)
    check_not_empty(x, kept)
    count = prod([x.shape[axis] for axis in over])
    mean, var = autograd.moments(x, over, Call.of(x, kept))
    return Moments(_squeeze(mean, over, keepdims), _squeeze(var, over, keepdims), count)


def weighted_moments(x: Tensor, axes: Axes, weights: Tensor, *, keepdims: bool = False) -> Moments:
    """Mean and biased variance over ``axes`` with a weight for each value; 0 leaves a value out.

    Math:    count = Σ w      mean = Σ w·x / count      var = Σ w·(x − mean)² / count
    Shapes:  weights broadcast to x; results as in ``moments``, count a tensor like mean
    Dtypes:  as ``moments``; weights may be bool or of any real dtype
    Gradient: in x and in weights; none in a weight of 0, which leaves its value out, NaN or not
    Raises:  BadDtype, BadAxis, EmptyBatch when all weights behind a mean are 0,
             BadOption for a weight that is negative, infinite or NaN
    Source:  tf.nn.weighted_moments

    >>> weighted_moments(torch.tensor([1.0, 3.0, 100.0]), 0, torch.tensor([1, 1, 0])).mean
    tensor(2.)
    """
    check_float(x)
    over = axes_of(axes, x.ndim)
    check_not_empty(x, other_axes(over, x.ndim))
    check_broadcast(weights, x, "weights")
    wide, w = x.to(statistics_dtype(x)), weights.to(statistics_dtype(x))
    _check_weights(w)
    w = torch.where(w > 0, w, 0).expand_as(x)
    count = summed(w, over)
    if not torch.compiler.is_compiling() and not bool((count > 0).all()):
        raise EmptyBatch(
            "all values behind a mean have weight 0",
            got=f"weights of shape {list(weights.shape)}, x {list(x.shape)}, axes {list(over)}",
            do="skip this batch, or check that the mask is True where values are real",
        )
    # A value that is left out may be NaN or infinite, and 0·NaN is NaN.
    kept = torch.where(w > 0, wide, 0)
    mean = summed(w * kept, over) / count
    deviation = torch.where(w > 0, kept - mean, 0)
    rounding = summed(w * deviation, over) / count
    var = summed(w * (deviation - rounding).square(), over) / count
    parts = (mean + rounding, var, count)
    return Moments(*(_squeeze(part, over, keepdims) for part in parts))


def merge_moments(*parts: Moments) -> Moments:
    """The moments of several disjoint sets of values together, from the moments of each.

    Math:    count = Σ nᵢ   mean = Σ nᵢ·meanᵢ / count   var = Σ nᵢ·(varᵢ + (meanᵢ − mean)²) / count
    Dtypes:  computed in f64, returned in the first part's dtype
    Error:   the parts' own means, rounded to their dtype, limit it: for f32 parts the variance is
             within 4·2⁻²⁴·|mean|/std of itself
    Raises:  BadOption without parts, BadShape for parts of different shapes, EmptyBatch when a count
             is 0 in every part
    Source:  Chan, Golub & LeVeque 1983, The American Statistician 37(3), equations 2.1

    >>> a, b = torch.tensor([1.0, 2.0]), torch.tensor([6.0])
    >>> merge_moments(moments(a, 0), moments(b, 0))
    Moments(mean=tensor(3.), var=tensor(4.6667), count=3)
    """
    if not parts:
        raise BadOption("nothing to merge", got="no moments", do="give at least one Moments")
    _check_same_shape(parts)
    merged = merge_nonempty(*parts)
    if not bool((torch.as_tensor(merged.count) > 0).all()):
        raise EmptyBatch(
            "every part is empty",
            got=f"counts {[torch.as_tensor(p.count).tolist() for p in parts]}",
            do="merge a part with values",
        )
    return merged


def merge_nonempty(*parts: Moments) -> Moments:
    """``merge_moments`` unchecked: it never waits for a device. A count of 0 in all parts gives NaN."""
    dtype = parts[0].mean.dtype
    counts = [torch.as_tensor(p.count, dtype=torch.float64, device=p.mean.device) for p in parts]
    total = torch.as_tensor(sum(counts))
    # An empty part has no mean: NaN in most frameworks, and 0·NaN is NaN.
    means = [torch.where(n > 0, p.mean.double(), 0.0) for n, p in zip(counts, parts, strict=True)]
    spreads = [torch.where(n > 0, p.var.double(), 0.0) for n, p in zip(counts, parts, strict=True)]
    mean = sum(n * m for n, m in zip(counts, means, strict=True)) / total
    squares = zip(counts, means, spreads, strict=True)
    var = sum(n * (v + (m - mean).square()) for n, m, v in squares) / total
    whole = all(isinstance(p.count, int) for p in parts)
    count = sum(int(p.count) for p in parts) if whole else total.to(dtype)
    return Moments(torch.as_tensor(mean).to(dtype), torch.as_tensor(var).to(dtype), count)


def var_unbiased(stats: Moments) -> Tensor:
    """The variance with Bessel's correction n/(n − 1); n ≤ 1 keeps it as it is, as TensorFlow does.

    >>> var_unbiased(Moments(torch.zeros(1), torch.ones(1), 2))
    tensor([2.])
    """
    if isinstance(stats.count, int):
        return stats.var * (stats.count / max(stats.count - 1, 1))
    more = stats.count > 1
    return stats.var * torch.where(more, stats.count / torch.where(more, stats.count - 1, 1), 1)


def all_finite(stats: Moments) -> Tensor:
    """Whether no statistic is NaN or infinite: a bool scalar on the statistics' device."""
    total = stats.mean.sum(dtype=torch.float64) + stats.var.sum(dtype=torch.float64)
    return total.isfinite()


def _squeeze(part: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return part if keepdims else part.squeeze(axes)


def _check_weights(weights: Tensor) -> None:
    if torch.compiler.is_compiling():  # no values to look at
        return
    if not bool(((weights >= 0) & (weights < inf)).all()):
        raise BadOption(
            "weights must be 0 or positive numbers",
            got=f"weights from {float(weights.min()):g} to {float(weights.max()):g}",
            do="use 0 to leave a value out, or a bool mask",
        )


def _check_same_shape(parts: tuple[Moments, ...]) -> None:
    shapes = [list(v.shape) for p in parts for v in (p.mean, p.var)]
    if any(shape != shapes[0] for shape in shapes):
        raise BadShape(
            "moments to be merged must have one shape",
            got=f"mean and var of shapes {shapes}",
            do="take the moments of every part over the same axes",
        )
