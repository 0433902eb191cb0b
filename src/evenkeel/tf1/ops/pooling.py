"""Pooling: the largest or the mean of each window."""

from typing import Any

import torch
from torch.nn import functional

from evenkeel.tf1.ops.table import op
from evenkeel.tf1.ops.windows import flat_pad, from_torch, paddings, pooled, spatial, to_torch


def _windows(image: Any, attrs: dict[str, Any]) -> tuple[Any, Any, list[tuple[int, int]]]:
    fmt = attrs["data_format"]
    kernel, strides = spatial(attrs["ksize"], fmt), spatial(attrs["strides"], fmt)
    ones = [1 for _ in kernel]
    pads = paddings(image.shape[2:], kernel, strides, ones, attrs["padding"], None, fmt)
    return kernel, strides, pads


def _ceiling(pads: Any, strides: Any) -> bool | None:
    """Whether torch must round up to count the windows; None where no mode of it fits.

    A zero more behind than before is what rounding up does, where the stride is not 1.
    """
    more = {b - a for a, b in pads}
    if more == {0}:
        return False
    fits = all(b - a == 1 and s > 1 for (a, b), s in zip(pads, strides, strict=True))
    return True if fits else None


@op("MaxPool", "MaxPool3D", shape=pooled)
def max_pool(x: Any, *, op: Any) -> Any:
    """The largest value of each window."""
    image = to_torch(x, op.attrs["data_format"])
    kernel, strides, pads = _windows(image, op.attrs)
    run: Any = functional.max_pool2d if image.ndim == 4 else functional.max_pool3d
    if (ceil := _ceiling(pads, strides)) is None:
        lowest = float("-inf") if image.is_floating_point() else torch.iinfo(image.dtype).min
        image = functional.pad(image, flat_pad(pads), value=lowest)
        made = run(image, kernel, strides)
    else:
        made = run(image, kernel, strides, [a for a, _ in pads], ceil_mode=ceil)
    return from_torch(made, op.attrs["data_format"])


@op("MaxPoolV2", host=("ksize", "strides"))
def max_pool_v2(x: Any, ksize: Any, strides: Any, *, padding: str, data_format: str) -> Any:
    """The largest value of each window; its sizes are inputs."""
    from types import SimpleNamespace

    attrs = {"ksize": ksize, "strides": strides, "padding": padding, "data_format": data_format}
    return max_pool(x, op=SimpleNamespace(attrs=attrs))


@op("AvgPool", "AvgPool3D", shape=pooled)
def avg_pool(x: Any, *, op: Any) -> Any:
    """The mean of each window; padding does not count."""
    image = to_torch(x, op.attrs["data_format"])
    kernel, strides, pads = _windows(image, op.attrs)
    run: Any = functional.avg_pool2d if image.ndim == 4 else functional.avg_pool3d
    if (ceil := _ceiling(pads, strides)) is None:
        made = _padded_mean(run, image, kernel, strides, pads)
    else:
        before = [a for a, _ in pads]
        made = run(image, kernel, strides, before, ceil_mode=ceil, count_include_pad=False)
    return from_torch(made, op.attrs["data_format"])


def _padded_mean(run: Any, image: Any, kernel: Any, strides: Any, pads: Any) -> Any:
    padding = flat_pad(pads)
    ones = functional.pad(torch.ones_like(image[:1, :1]), padding)
    total = run(functional.pad(image, padding), kernel, strides)
    return total / run(ones, kernel, strides)
