"""Normalization by definition, in float64."""

from torch import Tensor


def normalize(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """Ioffe & Szegedy 2015, Algorithm 1, lines 3 and 4."""
    shape = [1, -1] + [1] * (x.ndim - 2)
    y = (x.double() - mean.double().view(shape)) / (var.double().view(shape) + eps).sqrt()
    y = y if weight is None else y * weight.double().view(shape)
    y = y if bias is None else y + bias.double().view(shape)
    return y.to(x.dtype)
