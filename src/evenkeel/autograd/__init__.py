"""Batch normalization as differentiable calls: eager, and as operators for torch.compile."""

from evenkeel.autograd.calls import (
    Moved,
    differentiated,
    flat,
    moments,
    normalize,
    normalize_into,
    plan_moving,
    recomputing,
    train,
    train_moving,
)

__all__ = [
    "Moved",
    "differentiated",
    "flat",
    "moments",
    "normalize",
    "normalize_into",
    "plan_moving",
    "recomputing",
    "train",
    "train_moving",
]
