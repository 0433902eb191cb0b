"""Colours of images [*, 3]: contrast, hue, saturation, and the model of hue, saturation and value."""

from typing import Any

import torch

from evenkeel.tf1.ops.rules import same
from evenkeel.tf1.ops.table import op


def _first(node: Any) -> Any:
    return [node.inputs[0].shape]


@op("AdjustContrastv2", shape=_first)
def adjust_contrast(images: Any, contrast_factor: Any) -> Any:
    """Each channel of each image, that far from its mean."""
    mean = images.mean((-3, -2), keepdim=True)
    return (images - mean) * contrast_factor + mean


@op("RGBToHSV", shape=same)
def rgb_to_hsv(images: Any) -> Any:
    """Hue, saturation and value, each in [0, 1]."""
    red, green, blue = images.unbind(-1)
    value, spread = images.amax(-1), images.amax(-1) - images.amin(-1)
    zero = torch.zeros_like(value)
    sixth = torch.where(spread > 0, 1 / (6 * spread), zero)
    hue = torch.where(
        red == value,
        sixth * (green - blue),
        torch.where(green == value, sixth * (blue - red) + 2 / 6, sixth * (red - green) + 4 / 6),
    )
    hue = torch.where(spread > 0, torch.where(hue < 0, hue + 1, hue), zero)
    saturation = torch.where(value > 0, spread / value, zero)
    return torch.stack((hue, saturation, value), -1)


@op("HSVToRGB", shape=same)
def hsv_to_rgb(images: Any) -> Any:
    """Red, green and blue."""
    hue, saturation, value = images.unbind(-1)
    sixths = hue * 6
    share = torch.stack((abs(sixths - 3) - 1, 2 - abs(sixths - 2), 2 - abs(sixths - 4)), -1)
    saturation, value = saturation.unsqueeze(-1), value.unsqueeze(-1)
    return ((1 - saturation) + saturation * share.clamp(0, 1)) * value


@op("AdjustHue", shape=_first)
def adjust_hue(images: Any, delta: Any) -> Any:
    """The hue turned by ``delta`` of a circle."""
    hue, saturation, value = rgb_to_hsv(images).unbind(-1)
    return hsv_to_rgb(torch.stack(((hue + delta) % 1.0, saturation, value), -1))


@op("AdjustSaturation", shape=_first)
def adjust_saturation(images: Any, scale: Any) -> Any:
    """The saturation times ``scale``, at most 1."""
    hue, saturation, value = rgb_to_hsv(images).unbind(-1)
    return hsv_to_rgb(torch.stack((hue, (saturation * scale).clamp(0, 1), value), -1))
