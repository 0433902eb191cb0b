"""Batch normalization as differentiable calls: eager, and as operators for torch.compile."""

from evenkeel.autograd.calls import (
    differentiated,
    flat,
    moments,
    normalize,
    normalize_into,
    normalize_planned,
    plan_given,
    plan_moving,
    recomputing,
    train,
    train_moving,
)
from evenkeel.kernels.fused.native import Moved

__all__ = [
    "Moved",
    "differentiated",
    "flat",
    "moments",
    "normalize",
    "normalize_into",
    "normalize_planned",
    "plan_given",
    "plan_moving",
    "recomputing",
    "train",
    "train_moving",
]
