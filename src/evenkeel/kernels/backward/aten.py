"""Backward on torch's own batch-norm kernel; torch differentiates it once more."""

import torch
from torch import Tensor

from evenkeel.views import statistics_dtype


def backward(
    dy: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Dx [N, C, *], dweight [C], dbias [C].

    On the CPU torch sums bfloat16 gradients in bfloat16 where it has no kernel for a layout, strided
    or transposed (dbias off by 2.6·10⁻³ at 168 values): half precision is widened first.
    """
    narrow = x.dtype
    if x.device.type == "cpu":
        dy, x = dy.to(statistics_dtype(x)), x.to(statistics_dtype(x))
    dx, dweight, dbias = torch.ops.aten.native_batch_norm_backward(
        dy, x, weight, None, None, mean, rstd, True, eps, [True, True, True]
    )
    return dx.to(narrow), dweight, dbias
