"""Training forward by definition, in float64."""

from torch import Tensor

from evenkeel.kernels.moments.reference import moments
from evenkeel.kernels.normalize.reference import normalize
from evenkeel.views import statistics_dtype


def train(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Ioffe & Szegedy 2015, Algorithm 1."""
    mean, var = (v.flatten() for v in moments(x.double(), (0, *range(2, x.ndim))))
    y = normalize(x, mean, var, weight, bias, eps)
    return y, mean.to(statistics_dtype(x)).detach(), var.to(statistics_dtype(x)).detach()
