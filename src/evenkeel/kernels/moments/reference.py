"""Moments by definition, in float64."""

from torch import Tensor

from evenkeel.views import statistics_dtype


def moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Ioffe & Szegedy 2015, Algorithm 1, lines 1 and 2."""
    mean = x.double().mean(axes, keepdim=True)
    var = (x.double() - mean).pow(2).mean(axes, keepdim=True)
    return mean.to(statistics_dtype(x)), var.to(statistics_dtype(x))
