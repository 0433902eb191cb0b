"""Training forward in torch's plain operators, which torch transforms and differentiates at will."""

from torch import Tensor

from evenkeel.kernels.moments.eager import moments
from evenkeel.views import other_axes, statistics_dtype


def train(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Y [N, C, *], batch mean [C], biased batch variance [C]."""
    y, mean, var = by_batch(x, weight, bias, eps, (1,))
    return y, mean.detach(), var.detach()


def by_batch(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, axes: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Y like x, mean and biased variance flat, with their gradients."""
    mean, var = moments(x, other_axes(axes, x.ndim))
    y = by_given(x, mean, (var + eps).rsqrt(), weight, bias, axes)
    return y, mean.flatten(), var.flatten()


def by_given(
    x: Tensor,
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    axes: tuple[int, ...],
) -> Tensor:
    """(x − mean) · rstd · weight + bias, vectors along the channel axes."""
    dtype = statistics_dtype(x)
    shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    y = (x.to(dtype) - mean.view(shape)) * rstd.view(shape)
    y = y if weight is None else y * weight.view(shape).to(dtype)
    y = y if bias is None else y + bias.view(shape).to(dtype)
    return y.to(x.dtype)
