"""Normalization: FusedBatchNorm on evenkeel's kernels, local response normalization."""

from typing import Any

import torch

from evenkeel import autograd
from evenkeel.functional import local_response_normalization
from evenkeel.tf1.ops.rules import equal_sizes, same
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.ops.windows import is_channels_first, ranked
from evenkeel.tf1.shapes import TensorShape, unknown_shape


def _fused(node: Any) -> list[TensorShape]:
    x = node.inputs[0].shape
    sizes = ranked(x, 4)
    at = 1 if is_channels_first(node.attrs["data_format"]) else 3
    channels = sizes[at]
    given = node.inputs[1:] if not node.attrs["is_training"] else node.inputs[1:3]
    for vector in given:
        channels = equal_sizes(channels, ranked(vector.shape, 1)[0])
    known = [s if axis != at else channels for axis, s in enumerate(sizes)]
    whole = x if x.ndims is None and channels is None else TensorShape(known)
    rest = [unknown_shape()] if node.type == "FusedBatchNormV3" else []
    return [whole, *[TensorShape([channels])] * 4, *rest]


@op("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", shape=_fused)
def fused_batch_norm(x: Any, scale: Any, offset: Any, mean: Any, variance: Any, *, op: Any) -> Any:
    """Y, mean, variance (of the sample, as moving averages take it), and what gradients reuse."""
    return normalized(x, scale, offset, mean, variance, op=op)


def normalized(
    x: Any, scale: Any, offset: Any, mean: Any, variance: Any, *, op: Any,
    activation: str | None = None, over: bool = False,
) -> Any:  # fmt: skip
    """The outputs of a FusedBatchNorm, with an activation of y; ``over`` x where nobody needs it."""
    attrs = op.attrs
    axes = (1,) if is_channels_first(attrs["data_format"]) else (3,)
    eps = attrs["epsilon"]
    third = [torch.zeros((), device=x.device)] if op.type == "FusedBatchNormV3" else []
    if not attrs["is_training"]:
        given = mean, variance, scale, offset, eps, axes, None, activation
        y = autograd.normalize_into(x, x, *given) if over else autograd.normalize(x, *given)
        return (y, mean, variance, mean, variance, *third)
    if not x.numel():
        empty = torch.full_like(scale, float("nan"))
        return (torch.empty_like(x), empty, empty, empty, empty, *third)
    y, batch_mean, batch_var = autograd.train(x, scale, offset, eps, axes, activation=activation)
    count = x.numel() // scale.numel()
    sample = batch_var * (count / max(count - 1, 1))
    return (y, batch_mean, sample, batch_mean, batch_var, *third)


@op("LRN", shape=same)
def local_response(x: Any, *, depth_radius: int, bias: float, alpha: float, beta: float) -> Any:
    """Each value divided by a power of the squares around it along the channels."""
    return local_response_normalization(
        x, depth_radius=depth_radius, bias=bias, alpha=alpha, beta=beta, channel_axis=3
    )


@op("BatchNormWithGlobalNormalization", shape=same)
def global_normalization(
    t: Any, m: Any, v: Any, beta: Any, gamma: Any, *,
    variance_epsilon: float, scale_after_normalization: bool,
) -> Any:  # fmt: skip
    """The oldest form: normalization by given statistics."""
    scale = gamma if scale_after_normalization else None
    return autograd.normalize(t, m, v, scale, beta, variance_epsilon, (3,))
