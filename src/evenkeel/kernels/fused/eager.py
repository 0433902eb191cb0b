"""Training forward on torch's operators: accurate statistics in every layout."""

from torch import Tensor

from evenkeel.kernels.moments import eager as moments
from evenkeel.kernels.normalize import aten as normalize
from evenkeel.kernels.table import Call


def refuses(call: Call) -> str:
    """Why this kernel, whose gradient is our own, must not run this call."""
    return "torch.func or forward differentiation is at work" if call.mode == "transform" else ""


def train(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Y [N, C, *], batch mean [C], biased batch variance [C]."""
    mean, var = moments.moments(x, (0, *range(2, x.ndim)))
    mean, var = mean.flatten(), var.flatten()
    return normalize.normalize(x, mean, var, weight, bias, eps), mean, var
