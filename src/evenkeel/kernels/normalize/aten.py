"""Normalization by given statistics on torch's own batch-norm kernel."""

import torch
from torch import Tensor


def normalize(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """X [N, C, *], all vectors [C] in the dtype of statistics; y in the dtype of x."""
    enabled = torch.backends.cudnn.enabled
    return torch.batch_norm(x, weight, bias, mean, var, False, 0.0, eps, enabled)
