"""Moments, and normalization by them: node for node as TensorFlow composes them."""

from typing import Any

from evenkeel.tf1 import build
from evenkeel.tf1.api import arrays, reductions
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.dtypes import float16, float32
from evenkeel.tf1.nodes import Tensor

__all__ = [
    "batch_norm_with_global_normalization", "batch_normalization", "fused_batch_norm",
    "local_response_normalization", "lrn", "moments", "normalize_moments", "sufficient_statistics",
    "weighted_moments",
]  # fmt: skip
LEAST_EPSILON = 1.001e-5  # what cuDNN accepts


def moments(
    x: Any, axes: Any, shift: Any = None, name: Any = None, keep_dims: Any = None,
    keepdims: Any = None,
) -> Any:  # fmt: skip
    """The mean and the variance over axes; no gradient flows through the mean of the variance."""
    keep = bool(keep_dims if keepdims is None else keepdims)
    with name_scope(name, "moments", [x, axes]):
        source = convert(x) if not isinstance(x, Tensor) else x
        wide = cast(source, float32) if source.dtype.base_dtype == float16 else source
        mean = reductions.reduce_mean(wide, axes, keepdims=True, name="mean")
        squares = apply("SquaredDifference", wide, apply("StopGradient", mean))
        variance = reductions.reduce_mean(squares, axes, keepdims=True, name="variance")
        if not keep:
            mean, variance = arrays.squeeze(mean, axes), arrays.squeeze(variance, axes)
        if source.dtype.base_dtype == float16:
            return cast(mean, float16), cast(variance, float16)
        return mean, variance


def weighted_moments(
    x: Any, axes: Any, frequency_weights: Any, name: Any = None, keep_dims: Any = None,
    keepdims: Any = None,
) -> Any:  # fmt: skip
    """The mean and the variance of values that count several times."""
    keep = bool(keep_dims if keepdims is None else keepdims)
    with name_scope(name, "weighted_moments", [x, frequency_weights, axes]):
        source = convert(x, name="x")
        weights = convert(frequency_weights, name="frequency_weights")
        narrow = source.dtype.base_dtype == float16
        if narrow:
            source = cast(source, float32)
        if weights.dtype.base_dtype != source.dtype.base_dtype:
            weights = cast(weights, source.dtype.base_dtype)
        weighted = reductions.reduce_sum(
            weights * source, axes, name="weighted_input_sum", keepdims=True
        )
        from evenkeel.tf1.api.constants import zeros_like

        wide = weights + zeros_like(source)
        total = reductions.reduce_sum(wide, axes, name="sum_of_weights", keepdims=True)
        divisor = apply("Reciprocal", total, name="inv_weight_sum")
        mean = apply("Mul", weighted, divisor)
        squares = reductions.reduce_sum(
            weights * apply("SquaredDifference", source, mean),
            axes, name="weighted_distsq", keepdims=True,
        )  # fmt: skip
        variance = apply("Mul", squares, divisor)
        if not keep:
            mean, variance = arrays.squeeze(mean, axes), arrays.squeeze(variance, axes)
        if narrow:
            return cast(mean, float16), cast(variance, float16)
        return mean, variance


def sufficient_statistics(
    x: Any, axes: Any, shift: Any = None, keep_dims: Any = None, name: Any = None,
    keepdims: Any = None,
) -> Any:  # fmt: skip
    """The count, the sum and the sum of squares over axes, about ``shift``; and the shift."""
    keep = bool(keep_dims if keepdims is None else keepdims)
    axes = sorted(set(axes))
    with name_scope(name, "sufficient_statistics", [x, shift]):
        source = convert(x, name="x")
        sizes = source.shape
        if sizes.ndims is not None and all(sizes.sizes[d] is not None for d in axes):
            counts: Any = 1
            for axis in axes:
                counts *= sizes.sizes[axis]
            counts = build.constant(counts, source.dtype.base_dtype)
        else:
            from evenkeel.tf1.api.indexing import gather

            found = gather(cast(arrays.shape(source), source.dtype.base_dtype), axes)
            counts = reductions.reduce_prod(found, name="count")
        if shift is not None:
            shift = convert(shift, name="shift")
            first: Any = apply("Sub", source, shift)
            second = apply("SquaredDifference", source, shift)
        else:
            first, second = source, apply("Square", source)
        first = reductions.reduce_sum(first, axes, keepdims=keep, name="mean_ss")
        second = reductions.reduce_sum(second, axes, keepdims=keep, name="var_ss")
    return counts, first, second, shift


def normalize_moments(
    counts: Any, mean_ss: Any, variance_ss: Any, shift: Any, name: Any = None
) -> Any:
    """The mean and the variance of what ``sufficient_statistics`` found."""
    with name_scope(name, "normalize", [counts, mean_ss, variance_ss, shift]):
        divisor = apply("Reciprocal", counts, name="divisor")
        if shift is not None:
            shifted = apply("Mul", mean_ss, divisor, name="shifted_mean")
            mean = apply("Add", shifted, shift, name="mean")
        else:
            mean = shifted = apply("Mul", mean_ss, divisor, name="mean")
        whole = apply("Mul", variance_ss, divisor)
        variance = apply("Sub", whole, apply("Square", shifted), name="variance")
    return mean, variance


def batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: Any,
    name: Any = None,
) -> Any:  # fmt: skip
    """The value normalized by these statistics, scaled and moved."""
    with name_scope(name, "batchnorm", [x, mean, variance, scale, offset]):
        source = x if isinstance(x, Tensor) else convert(x)
        inverse = apply("Rsqrt", variance + variance_epsilon)
        if scale is not None:
            inverse = inverse * scale
        kind = source.dtype.base_dtype
        scaled = source * cast(inverse, kind)
        moved = offset - mean * inverse if offset is not None else -mean * inverse
        return scaled + cast(moved, kind)


def fused_batch_norm(
    x: Any, scale: Any, offset: Any, mean: Any = None, variance: Any = None,
    epsilon: float = 0.001, data_format: str = "NHWC", is_training: bool = True, name: Any = None,
) -> Any:  # fmt: skip
    """Normalization by the batch, or by given statistics, as one node: y, mean, variance."""
    if is_training and (mean is not None or variance is not None):
        raise ValueError("Both 'mean' and 'variance' must be None if is_training is True.")
    source = convert(x, name="input")
    factor, beta = convert(scale, name="scale"), convert(offset, name="offset")
    mean = build.constant([]) if mean is None else mean
    variance = build.constant([]) if variance is None else variance
    outputs = apply(
        "FusedBatchNormV3", source, factor, beta, mean, variance,
        epsilon=max(epsilon, LEAST_EPSILON), data_format=data_format, is_training=is_training,
        name=name,
    )  # fmt: skip
    return tuple(outputs[:3])


def batch_norm_with_global_normalization(
    t: Any = None, m: Any = None, v: Any = None, beta: Any = None, gamma: Any = None,
    variance_epsilon: Any = None, scale_after_normalization: Any = None, name: Any = None,
    input: Any = None, mean: Any = None, variance: Any = None,
) -> Any:  # fmt: skip
    """The older form of ``batch_normalization``."""
    source, mean = (input if t is None else t), (mean if m is None else m)
    variance = variance if v is None else v
    scale = gamma if scale_after_normalization else None
    return batch_normalization(source, mean, variance, beta, scale, variance_epsilon, name)


def lrn(
    input: Any, depth_radius: int = 5, bias: float = 1, alpha: float = 1, beta: float = 0.5,
    name: Any = None,
) -> Any:  # fmt: skip
    """Each value divided by a power of the squares around it along the channels."""
    return apply(
        "LRN", input, depth_radius=depth_radius, bias=bias, alpha=alpha, beta=beta, name=name
    )


local_response_normalization = lrn
