"""Resizing of images [batch, height, width, channels]."""

from typing import Any

import torch
from torch.nn import functional

from evenkeel.tf1.fold import partial_shape
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape


def _resized(node: Any) -> list[TensorShape]:
    images, sizes = node.inputs[0].shape, partial_shape(node.inputs[1])
    whole = images.sizes if images.ndims == 4 else (None,) * 4
    inner = sizes.sizes if sizes.ndims == 2 else (None, None)
    return [TensorShape([whole[0], *inner, whole[3]])]


def _places(size: int, outputs: int, corners: bool, centres: bool, like: Any) -> Any:
    """Where each output lies among the inputs."""
    steps = torch.arange(outputs, device=like.device, dtype=torch.float32)
    if corners and outputs > 1:
        return steps * torch.tensor((size - 1) / (outputs - 1), dtype=torch.float32)
    scale = torch.tensor(size / outputs, dtype=torch.float32)
    return (steps + 0.5) * scale - 0.5 if centres else steps * scale


def _mixed(x: Any, axis: int, places: Any) -> Any:
    size = x.shape[axis]
    low = places.floor().clamp(0, size - 1)
    high = places.ceil().clamp(0, size - 1)
    shape = [-1 if a == axis else 1 for a in range(x.ndim)]
    share = (places - places.floor()).reshape(shape)
    first, second = x.index_select(axis, low.long()), x.index_select(axis, high.long())
    return first + (second - first) * share


@op("ResizeBilinear", host=("size",), shape=_resized)
def resize_bilinear(
    images: Any, size: Any, *, align_corners: bool, half_pixel_centers: bool
) -> Any:
    """Each output mixed from its four neighbours."""
    x = images.to(torch.float32)
    for axis, outputs in ((1, size[0]), (2, size[1])):
        given = (x.shape[axis], outputs, align_corners, half_pixel_centers)
        x = _mixed(x, axis, _places(*given, x))
    return x


@op("ResizeNearestNeighbor", host=("size",), shape=_resized)
def resize_nearest(images: Any, size: Any, *, align_corners: bool, half_pixel_centers: bool) -> Any:
    """Each output taken from its nearest input."""
    x = images
    for axis, outputs in ((1, size[0]), (2, size[1])):
        places = _places(x.shape[axis], outputs, align_corners, centres=False, like=x)
        if half_pixel_centers:
            places = places + 0.5 * x.shape[axis] / outputs
        at = torch.floor(places + 0.5) if align_corners else places.floor()
        x = x.index_select(axis, at.long().clamp(0, x.shape[axis] - 1))
    return x


_STEPS = 1024  # TensorFlow reads its cubic kernel from a table of so many steps
_SLOPE = -0.75  # of TensorFlow's cubic kernel where centres are whole pixels


@op("ResizeBicubic", host=("size",), shape=_resized)
def resize_bicubic(images: Any, size: Any, *, align_corners: bool, half_pixel_centers: bool) -> Any:
    """Each output mixed from its sixteen neighbours."""
    x = images.to(torch.float32)
    slope = -0.5 if half_pixel_centers else _SLOPE
    for axis, outputs in ((1, size[0]), (2, size[1])):
        given = (x.shape[axis], outputs, align_corners, half_pixel_centers)
        x = _cubic(x, axis, _places(*given, x), slope, half_pixel_centers)
    return x


def _cubic(x: Any, axis: int, places: Any, slope: float, cut: bool) -> Any:
    size = x.shape[axis]
    base = places.floor()
    part = torch.round((places - base) * _STEPS) / _STEPS
    shape = [-1 if a == axis else 1 for a in range(x.ndim)]
    total, weights = 0, torch.zeros_like(places)
    for offset in range(-1, 3):
        away = (part - offset).abs()
        near = ((slope + 2) * away - (slope + 3)) * away * away + 1
        far = ((slope * away - 5 * slope) * away + 8 * slope) * away - 4 * slope
        share = torch.where(away <= 1, near, far)
        at = base + offset
        if cut:  # neighbours outside count nothing, and the others the more
            share = torch.where((at < 0) | (at > size - 1), torch.zeros_like(share), share)
        weights = weights + share
        taken = x.index_select(axis, at.long().clamp(0, size - 1))
        total = total + taken * share.reshape(shape)
    return total / weights.reshape(shape) if cut else total


@op("ResizeArea", host=("size",), shape=_resized)
def resize_area(images: Any, size: Any, *, align_corners: bool) -> Any:
    """Each output the mean of the area that it covers; whole areas only."""
    x = images.to(torch.float32).permute(0, 3, 1, 2)
    return functional.adaptive_avg_pool2d(x, tuple(size)).permute(0, 2, 3, 1)
