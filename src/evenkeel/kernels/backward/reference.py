"""Backward by definition, in float64."""

from torch import Tensor

from evenkeel.kernels.moments.reference import moments
from evenkeel.views import statistics_dtype


def backward(
    dy: Tensor, x: Tensor, weight: Tensor | None, _mean: Tensor, _rstd: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Ioffe & Szegedy 2015, section 3, the six equations after Algorithm 1, simplified.

    The statistics are taken from x anew: as constants they would lose part of a second derivative.
    """
    axes, shape = (0, *range(2, x.ndim)), [1, -1] + [1] * (x.ndim - 2)
    mean, var = moments(x.double(), axes)
    rstd = (var + eps).rsqrt()
    gamma = 1.0 if weight is None else weight.double().view(shape)
    dy, normalized = dy.double(), (x.double() - mean) * rstd
    dbias, dweight = dy.sum(axes, keepdim=True), (dy * normalized).sum(axes, keepdim=True)
    count = x.numel() // x.shape[1]
    dx = gamma * rstd * (dy - dbias / count - normalized * dweight / count)
    narrow = statistics_dtype(x)
    return dx.to(x.dtype), dweight.flatten().to(narrow), dbias.flatten().to(narrow)
