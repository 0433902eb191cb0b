"""Training forward on torch's own batch-norm kernel, where that kernel is accurate."""

import torch
from torch import Tensor

from evenkeel.kernels.table import Call


def refuses(call: Call) -> str:
    """Why torch's kernel must not run this call."""
    if call.mode == "transform":
        return "torch.func or forward differentiation is at work: it takes the variance in place"
    if call.count == 1:
        return "one value per channel: its unbiased variance is 0/0"
    if call.device != "cpu":
        return ""
    if call.dtype in (torch.float16, torch.bfloat16):
        return "half precision on the CPU: it sums in float32 without a second level"
    if not call.planar:
        return "not contiguous NCHW, on the CPU: there its sums lose the variance far from zero"
    return ""


def train(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Y [N, C, *], batch mean [C], biased batch variance [C].

    The kernel hands out its variance exactly through the running average alone: an average that
    starts at 0 and gives the new batch all the weight is the batch's own (unbiased) variance.
    """
    statistics = torch.float64 if x.dtype == torch.float64 else torch.float32
    mean, var = x.new_zeros(2, x.shape[1], dtype=statistics).unbind()
    y = torch.batch_norm(x, weight, bias, mean, var, True, 1.0, eps, torch.backends.cudnn.enabled)
    count = x.numel() // x.shape[1]
    return y, mean, var * ((count - 1) / count)
