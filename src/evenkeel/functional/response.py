"""Normalization by neighbours and by length: LRN and L2."""

from torch import Tensor
from torch.nn import functional as F

from evenkeel.errors import BadAxis, BadOption
from evenkeel.views import Axes, axes_of, check_eps, check_float, statistics_dtype


def local_response_normalization(
    x: Tensor,
    *,
    depth_radius: int = 5,
    bias: float = 1.0,
    alpha: float = 1.0,
    beta: float = 0.5,
    channel_axis: int = 1,
) -> Tensor:
    """Divide by a power of the energy of the neighbouring channels.

    Math:    y[c] = x[c] / (bias + alpha · Σ_{|d − c| ≤ depth_radius} x[d]²) ** beta
    Shapes:  x any, channels at ``channel_axis``; y as x
    Dtypes:  f16, bf16, f32, f64; computed in f32 (f64 for f64)
    Raises:  BadDtype, BadAxis, BadOption for a negative radius
    Source:  Krizhevsky et al. 2012, section 3.3; tf.nn.lrn. torch.nn.LocalResponseNorm divides alpha
             by the window's size 2·depth_radius + 1; this function, like TensorFlow, does not

    >>> local_response_normalization(torch.tensor([[3.0, 4.0]]), depth_radius=1, bias=0.0)
    tensor([[0.6000, 0.8000]])
    """
    check_float(x)
    axis, *others = axes_of(channel_axis, x.ndim)
    if others:
        raise BadAxis(
            "neighbours lie along one axis",
            got=f"axes {channel_axis}",
            do="give the channels' axis",
        )
    if depth_radius < 0:
        raise BadOption(
            "depth_radius counts neighbours on each side", got=depth_radius, do="give 0 or more"
        )
    if x.numel() == 0:
        return x.clone()
    wide, size = x.to(statistics_dtype(x)), 2 * depth_radius + 1
    rows = wide.square().flatten(axis + 1) if axis + 1 < x.ndim else wide.square().unsqueeze(-1)
    rows = rows.reshape(-1, 1, x.shape[axis], rows.shape[-1])
    energy = F.avg_pool2d(rows, (size, 1), (1, 1), (depth_radius, 0)) * size
    return (wide * (bias + alpha * energy.reshape(x.shape)).pow(-beta)).to(x.dtype)


def l2_normalize(x: Tensor, axis: Axes, *, eps: float = 1e-12) -> Tensor:
    """Scale to Euclidean length 1 over ``axis``; shorter than √eps is divided by √eps.

    Math:    y = x / √max(Σ x², eps)
    Shapes:  x any; y as x
    Dtypes:  f16, bf16, f32, f64; computed in f32 (f64 for f64)
    Raises:  BadDtype, BadAxis, BadOption for a negative eps
    Source:  tf.math.l2_normalize, whose epsilon bounds the sum of squares (torch's bounds the norm)

    >>> l2_normalize(torch.tensor([3.0, 4.0]), 0)
    tensor([0.6000, 0.8000])
    """
    check_float(x)
    check_eps(eps)
    wide = x.to(statistics_dtype(x))
    energy = wide.square().sum(axes_of(axis, x.ndim), keepdim=True)
    return (wide * energy.clamp_min(eps).rsqrt()).to(x.dtype)
