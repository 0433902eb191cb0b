"""The nodes that gradients of convolutions, pools and normalizations are made of."""

from typing import Any

import torch

from evenkeel.tf1.fold import partial_shape
from evenkeel.tf1.ops.convolution import convolve, depthwise_kernel, kernel_of
from evenkeel.tf1.ops.images import resize_bilinear, resize_nearest
from evenkeel.tf1.ops.normalization import local_response
from evenkeel.tf1.ops.pooling import avg_pool, max_pool
from evenkeel.tf1.ops.rules import same
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.ops.vjp import vjp
from evenkeel.tf1.ops.windows import is_channels_first
from evenkeel.tf1.shapes import TensorShape, unknown_shape


def _of_sizes(at: int) -> Any:
    return lambda node: [partial_shape(node.inputs[at])]


@op("Conv2DBackpropFilter", "Conv3DBackpropFilterV2", host=("filter_sizes",), shape=_of_sizes(1))
def filter_gradient(x: Any, sizes: Any, dy: Any, *, op: Any) -> Any:
    """The gradient of a convolution by its filters."""
    return vjp(lambda w: convolve(x, kernel_of(w), op.attrs), x.new_zeros(sizes), dy)


@op("DepthwiseConv2dNativeBackpropFilter", host=("filter_sizes",), shape=_of_sizes(1))
def depthwise_filter_gradient(x: Any, sizes: Any, dy: Any, *, op: Any) -> Any:
    """The gradient of a depthwise convolution by its filters."""

    def run(w: Any) -> Any:
        return convolve(x, depthwise_kernel(w), op.attrs, groups=sizes[-2])

    return vjp(run, x.new_zeros(sizes), dy)


def _channels(node: Any) -> list[TensorShape]:
    shape = node.inputs[0].shape
    if shape.ndims is None:
        return [unknown_shape(1)]
    at = 1 if is_channels_first(node.attrs["data_format"]) else -1
    return [TensorShape([shape.sizes[at]])]


@op("BiasAddGrad", shape=_channels)
def bias_add_grad(dy: Any, *, data_format: str) -> Any:
    """The sum for each channel."""
    at = 1 if is_channels_first(data_format) else dy.ndim - 1
    return dy.sum([axis for axis in range(dy.ndim) if axis != at])


@op("MaxPoolGrad", "MaxPool3DGrad", shape=same)
def max_pool_grad(x: Any, _y: Any, dy: Any, *, op: Any) -> Any:
    """The gradient where the largest value of each window was."""
    return vjp(lambda v: max_pool(v, op=op), x, dy)


@op("AvgPoolGrad", "AvgPool3DGrad", host=("orig_input_shape",), shape=_of_sizes(0))
def avg_pool_grad(sizes: Any, dy: Any, *, op: Any) -> Any:
    """The gradient spread over each window."""
    return vjp(lambda v: avg_pool(v, op=op), dy.new_zeros(sizes), dy)


@op("LRNGrad", shape=same)
def lrn_grad(
    dy: Any, x: Any, _y: Any, *, depth_radius: int, bias: float, alpha: float, beta: float
) -> Any:
    """The gradient of local response normalization."""

    def run(v: Any) -> Any:
        return local_response(v, depth_radius=depth_radius, bias=bias, alpha=alpha, beta=beta)

    return vjp(run, x, dy)


def _normalized(node: Any) -> list[TensorShape]:
    scale = node.inputs[2].shape
    rest = [TensorShape([0])] * 2 if node.attrs["is_training"] else [scale, scale]
    return [node.inputs[0].shape, scale, scale, *rest]


@op("FusedBatchNormGrad", "FusedBatchNormGradV2", shape=_normalized)
def fused_batch_norm_grad(dy: Any, x: Any, scale: Any, mean: Any, variance: Any, *, op: Any) -> Any:
    """The gradients by x, scale and offset; by mean and variance where those were given."""
    attrs = op.attrs
    at = 1 if is_channels_first(attrs["data_format"]) else x.ndim - 1
    axes = [axis for axis in range(x.ndim) if axis != at]
    sizes = [1] * x.ndim
    sizes[at] = -1
    rstd = torch.rsqrt(variance + attrs["epsilon"])
    normal = (x - mean.reshape(sizes)) * rstd.reshape(sizes)
    to_offset, to_scale = dy.sum(axes), (dy * normal).sum(axes)
    factor = (scale * rstd).reshape(sizes)
    if attrs["is_training"]:
        count = x.numel() // x.shape[at]
        means = to_offset.reshape(sizes) / count + normal * (to_scale.reshape(sizes) / count)
        nothing = scale.new_zeros(0)
        return (dy - means) * factor, to_scale, to_offset, nothing, nothing
    to_mean = -to_offset * scale * rstd
    to_variance = to_scale * scale * rstd * rstd * -0.5
    return dy * factor, to_scale, to_offset, to_mean, to_variance


@op("FusedBatchNormGradV3", shape=_normalized)
def fused_batch_norm_grad_v3(
    dy: Any, x: Any, scale: Any, mean: Any, variance: Any, _reserved: Any, *, op: Any
) -> Any:
    """As version 2, which has no third reserve."""
    return fused_batch_norm_grad(dy, x, scale, mean, variance, op=op)


def _as_image(node: Any) -> list[TensorShape]:
    shape, sizes = node.inputs[0].shape, partial_shape(node.inputs[1])
    if shape.ndims is None or sizes.ndims is None:
        return [unknown_shape(4)]
    return [TensorShape([shape.sizes[0], *sizes.sizes, shape.sizes[3]])]


@op("ResizeBilinearGrad", shape=lambda node: [node.inputs[1].shape])
def resize_bilinear_grad(
    dy: Any, image: Any, *, align_corners: bool, half_pixel_centers: bool
) -> Any:
    """The gradient to each pixel, by the weights that it had."""
    how = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return vjp(lambda x: resize_bilinear(x, list(dy.shape[1:3]), **how), image, dy)


@op("ResizeNearestNeighborGrad", host=("size",), shape=_as_image)
def resize_nearest_grad(
    dy: Any, size: Any, *, align_corners: bool, half_pixel_centers: bool
) -> Any:
    """The sum over the copies of each pixel."""
    how = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    image = dy.new_zeros([dy.shape[0], *size, dy.shape[3]])
    return vjp(lambda x: resize_nearest(x, list(dy.shape[1:3]), **how), image, dy)
