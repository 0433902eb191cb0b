"""How alike two images are: ``tf.image.psnr`` and ``tf.image.ssim``."""

from typing import Any

import numpy as np

from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.constants import range as numbers
from evenkeel.tf1.api.control import Assert
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.reductions import reduce_all, reduce_mean
from evenkeel.tf1.build import apply, constant, name_scope
from evenkeel.tf1.dtypes import float32, int32
from evenkeel.tf1.image_colours import convert_image_dtype
from evenkeel.tf1.nn.activations import softmax
from evenkeel.tf1.nn.convolutions import depthwise_conv2d
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.stacks import get_default_graph

__all__ = ["psnr", "ssim"]


def psnr(a: Any, b: Any, max_val: Any, name: str | None = None) -> Tensor:
    """The peak signal to noise ratio of each pair of images, in decibel.

    Math:    20 · log10(max_val) − 10 · log10(mean((a − b)²))
    Shapes:  [..., height, width, channels] to [...]
    Source:  TensorFlow 1.15, tf.image.psnr
    """
    with name_scope(name, "PSNR", [a, b]):
        peak = convert_image_dtype(cast(max_val, a.dtype), float32)
        one, two = convert_image_dtype(a, float32), convert_image_dtype(b, float32)
        error = reduce_mean(apply("SquaredDifference", one, two), [-3, -2, -1])
        made = apply(
            "Sub",
            20 * apply("Log", peak) / apply("Log", 10.0),
            np.float32(10 / np.log(10)) * apply("Log", error),
            name="psnr",
        )
        return _after(_alike(one, two), made)


def _alike(one: Tensor, two: Tensor) -> list[Any]:
    """Nodes that fail where images have different sizes; what is known beforehand fails at once."""
    first, second = one.shape, two.shape
    for shape in (first, second):
        if shape.ndims is not None and shape.ndims < 3:
            raise ValueError(f"Shape {shape} must have rank at least 3")
    first[-3:].assert_is_compatible_with(second[-3:])
    sizes, others = arrays.shape_n([one, two])
    deep = Assert(apply("GreaterEqual", arrays.size(sizes), 3), [sizes, others], summarize=10)
    same = reduce_all(apply("Equal", sizes[-3:], others[-3:]))
    return [deep, Assert(same, [sizes, others], summarize=10)]


def _after(checks: list[Any], value: Tensor) -> Tensor:
    with get_default_graph().control_dependencies(checks):
        return arrays.identity(value)  # type: ignore[no-any-return]


def ssim(
    img1: Any, img2: Any, max_val: Any, filter_size: int = 11, filter_sigma: float = 1.5,
    k1: float = 0.01, k2: float = 0.03,
) -> Tensor:  # fmt: skip
    """The structural similarity of each pair of images, at most 1.

    Shapes:  [..., height, width, channels] to [...]
    Raises:  InvalidArgumentError, when it runs, for images smaller than ``filter_size``
    Source:  Wang et al. 2004; TensorFlow 1.15, tf.image.ssim
    """
    one = _after(_alike(img1, img2), img1)
    peak = convert_image_dtype(cast(max_val, one.dtype), float32)
    one, two = convert_image_dtype(one, float32), convert_image_dtype(img2, float32)
    size, spread = constant(filter_size, int32), constant(filter_sigma, one.dtype)
    first, second = arrays.shape_n([one, two])
    checks = [
        Assert(reduce_all(apply("GreaterEqual", s[-3:-1], size)), [s, size], summarize=8)
        for s in (first, second)
    ]
    one = _after(checks, one)
    kernel = arrays.tile(_bell(size, spread), [1, 1, first[-1], 1])
    along, alike = _parts(one, two, kernel, peak, (k1, k2))
    axes = constant([-3, -2], int32)
    whole = reduce_mean(along * alike, axes)
    reduce_mean(alike, axes)  # TensorFlow makes it, for the measure at several scales
    return reduce_mean(whole, [-1])  # type: ignore[no-any-return]


def _bell(size: Tensor, spread: Tensor) -> Any:
    """The weights of a window, largest in its middle."""
    places = cast(numbers(size), spread.dtype)
    places = places - cast(size - 1, spread.dtype) / 2.0
    powers = apply("Square", places)
    powers = powers * (-0.5 / apply("Square", spread))
    flat = arrays.reshape(powers, [1, -1]) + arrays.reshape(powers, [-1, 1])
    weights = softmax(arrays.reshape(flat, [1, -1]))
    return arrays.reshape(weights, [size, size, 1, 1])


def _parts(one: Any, two: Any, kernel: Any, peak: Any, ks: tuple[float, float]) -> tuple[Any, Any]:
    """(how alike the brightness is, how alike contrast and structure are), by window."""

    def averaged(x: Any) -> Any:
        sizes = arrays.shape(x)
        flat = arrays.reshape(x, arrays.concat([[-1], sizes[-3:]], 0))
        made = depthwise_conv2d(flat, kernel, strides=[1, 1, 1, 1], padding="VALID")
        return arrays.reshape(made, arrays.concat([sizes[:-3], arrays.shape(made)[1:]], 0))

    c1, c2 = ((k * peak) ** 2 for k in ks)
    mean, other = averaged(one), averaged(two)
    twice = mean * other * 2.0
    squares = apply("Square", mean) + apply("Square", other)
    brightness = (twice + c1) / (squares + c1)
    products = averaged(one * two) * 2.0
    powers = averaged(apply("Square", one) + apply("Square", two))
    c2 = c2 * 1.0  # TensorFlow's factor of compensation
    return brightness, (products - twice + c2) / (powers - squares + c2)
