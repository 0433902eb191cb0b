"""Convolutions in one to three dimensions, their transposes, depthwise ones, and biases.

Images keep TensorFlow's layout in memory: torch gets views, channels last is one of its layouts.
"""

from typing import Any

import torch
from torch.nn import functional

from evenkeel.tf1.fold import partial_shape
from evenkeel.tf1.ops.rules import same
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.ops.windows import (
    convolved,
    flat_pad,
    from_torch,
    is_channels_first,
    paddings,
    spatial,
    to_torch,
)

_RUN = {3: functional.conv1d, 4: functional.conv2d, 5: functional.conv3d}
_PART = 1 << 23  # bytes of images that are padded at a time, so that the copy stays in cache


def _convolve(x: Any, kernel: Any, groups: int, pads: Any, strides: Any, dilations: Any) -> Any:
    run = _RUN[x.ndim]
    if all(a == b for a, b in pads):
        return run(x, kernel, None, strides, [a for a, _ in pads], dilations, groups)
    sides = flat_pad(pads)

    def padded(part: Any) -> Any:
        return run(functional.pad(part, sides), kernel, None, strides, 0, dilations, groups)

    count = len(x) * _PART // max(x.nbytes, 1)
    if x.nbytes <= 2 * _PART or not count or _differentiated(x, kernel):
        return padded(x)
    parts = x.split(count)
    first = padded(parts[0])
    whole = torch.empty_strided(
        (len(x), *first.shape[1:]), first.stride(), dtype=first.dtype, device=first.device
    )
    whole[:count] = first
    for index, part in enumerate(parts[1:], 1):
        whole[index * count : index * count + len(part)] = padded(part)
    return whole


def _differentiated(*tensors: Any) -> bool:
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


def convolve(x: Any, kernel: Any, attrs: dict[str, Any], groups: int = 1) -> Any:
    """A convolution with the attributes of a Conv2D; the kernel in torch's order of axes."""
    fmt = attrs["data_format"]
    strides, dilations = spatial(attrs["strides"], fmt), spatial(attrs["dilations"], fmt)
    image = to_torch(x, fmt)
    pads = paddings(
        image.shape[2:], kernel.shape[2:], strides, dilations, attrs["padding"],
        attrs.get("explicit_paddings"), fmt,
    )  # fmt: skip
    return from_torch(_convolve(image, kernel, groups, pads, strides, dilations), fmt)


def kernel_of(filters: Any) -> Any:
    """[*, inputs, outputs] -> [outputs, inputs, *], as a view."""
    return filters.movedim((-1, -2), (0, 1))


@op("Conv2D", "Conv3D", shape=convolved)
def convolution(x: Any, filters: Any, *, op: Any) -> Any:
    """The convolution; TensorFlow's is a correlation, as torch's."""
    channels = x.shape[1 if is_channels_first(op.attrs["data_format"]) else -1]
    return convolve(x, kernel_of(filters), op.attrs, groups=channels // filters.shape[-2])


def depthwise_kernel(filters: Any) -> Any:
    """[*, inputs, multiplier] -> [inputs · multiplier, 1, *]."""
    moved = filters.movedim((-2, -1), (0, 1))
    return moved.reshape(-1, 1, *moved.shape[2:])


@op("DepthwiseConv2dNative", shape=lambda node: convolved(node, depthwise=True))
def depthwise_convolution(x: Any, filters: Any, *, op: Any) -> Any:
    """Each channel convolved with filters of its own."""
    return convolve(x, depthwise_kernel(filters), op.attrs, groups=filters.shape[-2])


def _of_sizes(node: Any) -> Any:
    return [partial_shape(node.inputs[0])]


@op("Conv2DBackpropInput", "Conv3DBackpropInputV2", host=("input_sizes",), shape=_of_sizes)
def transposed_convolution(sizes: Any, filters: Any, dy: Any, *, op: Any) -> Any:
    """The gradient of a convolution by its input: what conv2d_transpose is."""
    return input_gradient(sizes, kernel_of(filters), dy, op.attrs)


@op("DepthwiseConv2dNativeBackpropInput", host=("input_sizes",), shape=_of_sizes)
def depthwise_input(sizes: Any, filters: Any, dy: Any, *, op: Any) -> Any:
    """The gradient of a depthwise convolution by its input."""
    return input_gradient(sizes, depthwise_kernel(filters), dy, op.attrs, filters.shape[-2])


def input_gradient(sizes: Any, kernel: Any, dy: Any, attrs: dict[str, Any], groups: int = 1) -> Any:
    """The gradient of ``convolve`` by its input."""
    fmt = attrs["data_format"]
    strides, dilations = spatial(attrs["strides"], fmt), spatial(attrs["dilations"], fmt)
    image = spatial(sizes, fmt)
    channels = sizes[1] if is_channels_first(fmt) else sizes[-1]
    pads = paddings(
        image, kernel.shape[2:], strides, dilations, attrs["padding"],
        attrs.get("explicit_paddings"), fmt,
    )  # fmt: skip
    upper = to_torch(dy, fmt)
    whole = [s + a + b for s, (a, b) in zip(image, pads, strict=True)]
    shape = [upper.shape[0], channels, *whole]
    made = _backward(upper, torch.Size(shape), kernel, strides, dilations, groups)
    for axis, (size, (before, _)) in enumerate(zip(image, pads, strict=True)):
        made = made.narrow(axis + 2, before, size)
    return from_torch(made, fmt)


def _backward(dy: Any, shape: Any, kernel: Any, strides: Any, dilations: Any, groups: int) -> Any:
    rank = len(strides)
    reached = [
        (dy.shape[i + 2] - 1) * strides[i] + dilations[i] * (kernel.shape[i + 2] - 1) + 1
        for i in range(rank)
    ]
    # What the last window does not reach gets no gradient: torch calls it output padding.
    beyond = [shape[i + 2] - reached[i] for i in range(rank)]
    run = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d,
           3: functional.conv_transpose3d}[rank]  # fmt: skip
    return run(dy, kernel, None, strides, 0, beyond, groups, dilations)


@op("BiasAdd", shape=same)
def bias_add(value: Any, bias: Any, *, data_format: str) -> Any:
    """The value plus one number for each channel."""
    if data_format == "NCHW":
        bias = bias.reshape(-1, *[1] * (value.ndim - 2))
    return value + bias


@op("BiasAddV1", shape=same)
def bias_add_v1(value: Any, bias: Any) -> Any:
    """The value plus one number for each entry of the last axis."""
    return value + bias
