"""``tf.image``: number formats, brightness, contrast, colours."""

from typing import Any

from evenkeel.tf1.api import arrays, reductions
from evenkeel.tf1.api.constants import ones
from evenkeel.tf1.api.math import cast, saturate_cast
from evenkeel.tf1.api.random import random_uniform
from evenkeel.tf1.api.tensordot import tensordot
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.control_ops import with_dependencies
from evenkeel.tf1.dtypes import as_dtype, float16, float32

__all__ = [
    "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation",
    "convert_image_dtype", "grayscale_to_rgb", "hsv_to_rgb", "per_image_standardization",
    "random_brightness", "random_contrast", "random_hue", "random_saturation", "rgb_to_grayscale",
    "rgb_to_hsv", "rgb_to_yiq", "rgb_to_yuv", "total_variation", "yiq_to_rgb", "yuv_to_rgb",
]  # fmt: skip


def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False, name: Any = None) -> Any:
    """An image in another type: floats span [0, 1], integers what they can hold."""
    source, wanted = convert(image, name="image"), as_dtype(dtype)
    given = source.dtype.base_dtype
    if given == wanted:
        return arrays.identity(source, name=name)
    with name_scope(name, "convert_image", [source]) as scope:
        narrow = saturate_cast if saturate else cast
        if given.is_integer and wanted.is_integer:
            return _between_integers(source, wanted, narrow, scope)
        if given.is_floating and wanted.is_floating:
            return cast(source, wanted, name=scope)
        if given.is_integer:
            return apply("Mul", cast(source, wanted), 1.0 / given.max, name=scope)
        scaled = apply("Mul", source, wanted.max + 0.5)
        return narrow(scaled, wanted, name=scope)


def _between_integers(source: Any, wanted: Any, narrow: Any, scope: str) -> Any:
    given = source.dtype.base_dtype
    if given.max > wanted.max:
        scale = (given.max + 1) // (wanted.max + 1)
        return narrow(apply("FloorDiv", source, scale), wanted, name=scope)
    return apply("Mul", narrow(source, wanted), (wanted.max + 1) // (given.max + 1), name=scope)


def _as_float(image: Any) -> Any:
    """The image as floats, and its own type."""
    source = convert(image, name="image")
    kind = source.dtype.base_dtype
    wide = source if kind in (float16, float32) else convert_image_dtype(source, float32)
    return wide, kind


def adjust_brightness(image: Any, delta: Any) -> Any:
    """The image plus ``delta``, which counts in [0, 1]."""
    with name_scope(None, "adjust_brightness", [image, delta]) as scope:
        source, kind = _as_float(image)
        brighter = apply("Add", source, cast(delta, source.dtype), name=scope)
        return convert_image_dtype(brighter, kind, saturate=True)


def adjust_contrast(images: Any, contrast_factor: Any) -> Any:
    """Each channel, ``contrast_factor`` times as far from its mean."""
    with name_scope(None, "adjust_contrast", [images, contrast_factor]) as scope:
        source, kind = _as_float(images)
        apart = apply("AdjustContrastv2", source, contrast_factor, name=scope)
        return convert_image_dtype(apart, kind, saturate=True)


def adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Any:
    """``gain`` · image ** ``gamma``."""
    with name_scope(None, "adjust_gamma", [image, gamma, gain]):
        source, kind = _as_float(image)
        if isinstance(gamma, int | float) and gamma < 0:
            raise ValueError("Gamma should be a non-negative real number.")
        return convert_image_dtype(gain * source**gamma, kind, saturate=True)


def _coloured(node: str, default: str) -> Any:
    def adjust(image: Any, amount: Any, name: Any = None) -> Any:
        with name_scope(name, default, [image]):
            source, kind = _as_float(image)
            return convert_image_dtype(apply(node, source, amount), kind, saturate=True)

    return adjust


_hue = _coloured("AdjustHue", "adjust_hue")
_saturation = _coloured("AdjustSaturation", "adjust_saturation")


def adjust_hue(image: Any, delta: Any, name: Any = None) -> Any:
    """The hue turned by ``delta``, from −1 to 1, of a circle."""
    return _hue(image, delta, name)


def adjust_saturation(image: Any, saturation_factor: Any, name: Any = None) -> Any:
    """The saturation times ``saturation_factor``."""
    return _saturation(image, saturation_factor, name)


def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Any:
    """``adjust_brightness`` by a number in [−max_delta, max_delta)."""
    _not_negative(max_delta)
    return adjust_brightness(image, random_uniform([], -max_delta, max_delta, seed=seed))


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """``adjust_contrast`` by a number in [lower, upper)."""
    _ordered(lower, upper)
    return adjust_contrast(image, random_uniform([], lower, upper, seed=seed))


def random_saturation(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """``adjust_saturation`` by a number in [lower, upper)."""
    _ordered(lower, upper)
    return adjust_saturation(image, random_uniform([], lower, upper, seed=seed))


def random_hue(image: Any, max_delta: float, seed: Any = None) -> Any:
    """``adjust_hue`` by a number in [−max_delta, max_delta)."""
    if max_delta > 0.5:
        raise ValueError("max_delta must be <= 0.5.")
    _not_negative(max_delta)
    return adjust_hue(image, random_uniform([], -max_delta, max_delta, seed=seed))


def _not_negative(max_delta: float) -> None:
    if max_delta < 0:
        raise ValueError("max_delta must be non-negative.")


def _ordered(lower: float, upper: float) -> None:
    if upper <= lower:
        raise ValueError("upper must be > lower.")
    if lower < 0:
        raise ValueError("lower must be non-negative.")


def rgb_to_grayscale(images: Any, name: Any = None) -> Any:
    """The luminance, as one channel."""
    with name_scope(name, "rgb_to_grayscale", [images]) as scope:
        source = convert(images, name="images")
        kind = source.dtype.base_dtype
        wide = convert_image_dtype(source, float32)
        grey = tensordot(wide, [0.2989, 0.5870, 0.1140], [-1, -1])
        return convert_image_dtype(arrays.expand_dims(grey, -1), kind, name=scope)


def grayscale_to_rgb(images: Any, name: Any = None) -> Any:
    """The one channel three times."""
    with name_scope(name, "grayscale_to_rgb", [images]) as scope:
        source = with_dependencies([], convert(images, name="images"))
        before = arrays.expand_dims(arrays.rank(source) - 1, 0)
        counts = [ones(before, "int32"), arrays.expand_dims(3, 0)]
        return apply("Tile", source, arrays.concat(counts, 0), name=scope)


def rgb_to_hsv(images: Any, name: Any = None) -> Any:
    """Hue, saturation and value."""
    return apply("RGBToHSV", images, name=name)


def hsv_to_rgb(images: Any, name: Any = None) -> Any:
    """Red, green and blue."""
    return apply("HSVToRGB", images, name=name)


def _by_matrix(rows: list[list[float]], words: str) -> Any:
    def change(images: Any) -> Any:
        source = convert(images, name="images")
        kernel = convert(rows, source.dtype.base_dtype, name="kernel")
        rank: Any = source.shape.ndims
        return tensordot(source, kernel, [[rank - 1], [0]])

    change.__doc__ = f"{words}, by a matrix."
    return change


rgb_to_yiq = _by_matrix(
    [[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617],
     [0.114, -0.32134392, 0.31119955]], "RGB to YIQ")  # fmt: skip
yiq_to_rgb = _by_matrix(
    [[1, 1, 1], [0.95598634, -0.27201283, -1.10674021], [0.6208248, -0.64720424, 1.70423049]],
    "YIQ to RGB",
)
rgb_to_yuv = _by_matrix(
    [[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512],
     [0.114, 0.43601035, -0.10001026]], "RGB to YUV")  # fmt: skip
yuv_to_rgb = _by_matrix(
    [[1, 1, 1], [0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0]], "YUV to RGB"
)


def per_image_standardization(image: Any) -> Any:
    """Each image with mean 0 and deviation 1; no deviation below 1 / √pixels."""
    with name_scope(None, "per_image_standardization", [image]) as scope:
        source = with_dependencies([], convert(image, name="image"))
        source, kind = _as_float(source)
        pixels = reductions.reduce_prod(arrays.shape(source)[-3:])
        axes = [-1, -2, -3]
        mean = reductions.reduce_mean(source, axes, keepdims=True)
        deviation = reductions.reduce_std(source, axes, keepdims=True)
        least = apply("Rsqrt", cast(pixels, source.dtype))
        divisor = apply("Maximum", deviation, least)
        made = apply("RealDiv", source - mean, divisor, name=scope)
        return convert_image_dtype(made, kind, saturate=True)


def total_variation(images: Any, name: Any = None) -> Any:
    """The sum of the differences of neighbours, for each image."""
    with name_scope(name, "total_variation"):
        rank = images.shape.ndims
        if rank == 3:
            down = images[1:, :, :] - images[:-1, :, :]
            across = images[:, 1:, :] - images[:, :-1, :]
            axes: Any = None
        elif rank == 4:
            down = images[:, 1:, :, :] - images[:, :-1, :, :]
            across = images[:, :, 1:, :] - images[:, :, :-1, :]
            axes = [1, 2, 3]
        else:
            raise ValueError("'images' must be either 3 or 4-dimensional.")
        sums = [reductions.reduce_sum(apply("Abs", d), axes) for d in (down, across)]
        return sums[0] + sums[1]
