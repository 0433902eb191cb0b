"""Backward by definition, in float64."""

from torch import Tensor

from evenkeel.views import statistics_dtype


def backward(
    dy: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Ioffe & Szegedy 2015, section 3, the six equations after Algorithm 1, simplified."""
    axes, shape = (0, *range(2, x.ndim)), [1, -1] + [1] * (x.ndim - 2)
    mean, rstd = mean.double().view(shape), rstd.double().view(shape)
    gamma = 1.0 if weight is None else weight.double().view(shape)
    dy, normalized = dy.double(), (x.double() - mean) * rstd
    dbias, dweight = dy.sum(axes, keepdim=True), (dy * normalized).sum(axes, keepdim=True)
    count = x.numel() // x.shape[1]
    dx = gamma * rstd * (dy - dbias / count - normalized * dweight / count)
    narrow = statistics_dtype(x)
    return dx.to(x.dtype), dweight.flatten().to(narrow), dbias.flatten().to(narrow)
