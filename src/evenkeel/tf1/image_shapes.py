"""``tf.image``: flips, turns, crops, frames."""

from typing import Any

from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.control import case, cond
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.random import random_crop, random_uniform
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.control_ops import with_dependencies
from evenkeel.tf1.nodes import Tensor

__all__ = [
    "central_crop", "crop_to_bounding_box", "flip_left_right", "flip_up_down", "pad_to_bounding_box",
    "random_crop", "random_flip_left_right", "random_flip_up_down", "resize_image_with_crop_or_pad",
    "resize_with_crop_or_pad", "rot90", "transpose", "transpose_image",
]  # fmt: skip


def _checked(image: Any) -> Any:
    """An image or a batch of them behind TensorFlow's Identity."""
    source = convert(image, name="image")
    if source.shape.ndims is not None and source.shape.ndims not in (3, 4):
        raise ValueError("'image' must have either 3 or 4 dimensions.")
    return with_dependencies([], source)


def _reversed(image: Any, axes: list[int]) -> Any:
    return apply("ReverseV2", image, axes)


def _flip(axis: int, name_: str) -> Any:
    def flip(image: Any) -> Any:
        with name_scope(None, name_, [image]):
            source = _checked(image)
            return _reversed(source, [axis + source.shape.ndims - 3])

    flip.__doc__ = f"{name_} of an image or a batch of them."
    return flip


def _random_flip(axis: int, name_: str) -> Any:
    def flip(image: Any, seed: Any = None) -> Any:
        with name_scope(None, name_, [image]) as scope:
            source = _checked(image)
            if source.shape.ndims == 3:
                chance = random_uniform([], 0, 1.0, seed=seed)
                turned = apply("Less", chance, 0.5)
                return cond(turned, lambda: _reversed(source, [axis]), lambda: source, name=scope)
            return _some_flipped(source, axis + 1, seed)

    flip.__doc__ = f"{name_} of every image or not, by chance."
    return flip


def _some_flipped(images: Any, axis: int, seed: Any) -> Any:
    count = arrays.shape(images)[0]
    chances = random_uniform([count], 0, 1.0, seed=seed)
    flips = apply("Round", arrays.reshape(chances, [count, 1, 1, 1]))
    flips = cast(flips, images.dtype)
    return flips * _reversed(images, [axis]) + (1.0 - flips) * images


flip_left_right, flip_up_down = _flip(1, "flip_left_right"), _flip(0, "flip_up_down")
random_flip_left_right = _random_flip(1, "random_flip_left_right")
random_flip_up_down = _random_flip(0, "random_flip_up_down")


def transpose_image(image: Any, name: Any = None) -> Any:
    """Rows for columns."""
    with name_scope(name, "transpose", [image]):
        source = _checked(image)
        return arrays.transpose(source, _swapped(source))


transpose = transpose_image


def _swapped(image: Any) -> list[int]:
    return [1, 0, 2] if image.shape.ndims == 3 else [0, 2, 1, 3]


def rot90(image: Any, k: Any = 1, name: Any = None) -> Any:
    """Turned ``k`` times by 90 degrees, against the clock."""
    with name_scope(name, "rot90", [image, k]) as scope:
        source = _checked(image)
        turns = apply("FloorMod", convert(k, "int32", name="k"), 4)
        rows = source.shape.ndims - 3

        def once() -> Any:
            return arrays.transpose(_reversed(source, [rows + 1]), _swapped(source))

        def twice() -> Any:
            return _reversed(source, [rows, rows + 1])

        def thrice() -> Any:
            return _reversed(arrays.transpose(source, _swapped(source)), [rows + 1])

        pairs = [(apply("Equal", turns, n + 1), f) for n, f in enumerate((once, twice, thrice))]
        made = case(pairs, default=lambda: source, exclusive=True, name=scope)
        made.set_shape([*source.shape.sizes[:rows], None, None, source.shape.sizes[-1]])
        return made


def central_crop(image: Any, central_fraction: float) -> Any:
    """The middle of an image: this share of its height and width."""
    with name_scope(None, "central_crop", [image]):
        source = convert(image, name="image")
        if not 0.0 < central_fraction <= 1.0:
            raise ValueError("central_fraction must be within (0, 1]")
        if central_fraction == 1.0:
            return source
        _checked(source)
        rank: Any = source.shape.ndims
        begins, sizes, rows = [0] * rank, [-1] * rank, rank - 3
        for axis, size in zip((rows, rows + 1), _sizes(source), strict=True):
            begins[axis], sizes[axis] = _middle(size, central_fraction)
        return arrays.slice(source, arrays.stack(begins), arrays.stack(sizes))


def _middle(size: Any, fraction: float) -> tuple[Any, Any]:
    if isinstance(size, Tensor):
        wide = cast(size, "float64")
        before: Any = cast((wide - wide * fraction) / 2, "int32")
    else:
        before = int((size - size * fraction) / 2)
    return before, size - before * 2


def _sizes(image: Any) -> tuple[Any, Any]:
    """Height and width: numbers where they are known, else tensors."""
    known = image.shape.sizes
    rows = len(known) - 3
    height, width = (
        known[a] if known[a] is not None else arrays.shape(image)[a] for a in (rows, rows + 1)
    )
    return height, width


def _require(holds: Any, words: str) -> None:
    """What is known to be wrong while building raises now; the rest, the nodes themselves."""
    if not isinstance(holds, Tensor) and not holds:
        raise ValueError(words)


def _in_batch(function: Any) -> Any:
    """``function`` of a batch, of one image too."""

    def wrapped(image: Any, *numbers: Any) -> Any:
        with name_scope(None, function.__name__, [image]):
            source = convert(image, name="image")
            single = source.shape.ndims == 3
            if source.shape.ndims not in (3, 4):
                raise ValueError("'image' must have either 3 or 4 dimensions.")
            batch = arrays.expand_dims(source, 0) if single else source
            made = function(batch, *numbers)
            return arrays.squeeze(made, [0]) if single else made

    wrapped.__doc__, wrapped.__name__ = function.__doc__, function.__name__
    return wrapped


def crop_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """The part of an image that starts there and is that large."""
    return _crop(image, offset_height, offset_width, target_height, target_width)


def pad_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """The image in a frame of zeros, from that place on."""
    return _frame(image, offset_height, offset_width, target_height, target_width)


def resize_image_with_crop_or_pad(image: Any, target_height: Any, target_width: Any) -> Any:
    """The middle of an image, or the image in the middle of zeros."""
    return _fit(image, target_height, target_width)


resize_with_crop_or_pad = resize_image_with_crop_or_pad


def _cropped(batch: Any, top: Any, left: Any, height: Any, width: Any) -> Any:
    """A part of each image."""
    rows, columns = _sizes(batch)
    _require(left >= 0, "offset_width must be >= 0.")
    _require(top >= 0, "offset_height must be >= 0.")
    _require(width > 0, "target_width must be > 0.")
    _require(height > 0, "target_height must be > 0.")
    _require(columns >= width + left, "width must be >= target + offset.")
    _require(rows >= height + top, "height must be >= target + offset.")
    source = with_dependencies([], batch)
    made = arrays.slice(
        source, arrays.stack([0, top, left, 0]), arrays.stack([-1, height, width, -1])
    )
    made.set_shape([batch.shape.sizes[0], _known(height), _known(width), batch.shape.sizes[3]])
    return made


def _framed(batch: Any, top: Any, left: Any, height: Any, width: Any) -> Any:
    """Each image within zeros."""
    rows, columns = _sizes(batch)
    right, below = width - left - columns, height - top - rows
    _require(top >= 0, "offset_height must be >= 0")
    _require(left >= 0, "offset_width must be >= 0")
    _require(right >= 0, "width must be <= target - offset")
    _require(below >= 0, "height must be <= target - offset")
    source = with_dependencies([], batch)
    sides = arrays.reshape(arrays.stack([0, 0, top, below, left, right, 0, 0]), [4, 2])
    made = arrays.pad(source, sides)
    made.set_shape([batch.shape.sizes[0], _known(height), _known(width), batch.shape.sizes[3]])
    return made


def _fitted(batch: Any, height: Any, width: Any) -> Any:
    """Each image cut or framed on all sides alike."""
    rows, columns = _sizes(batch)
    source = with_dependencies([], batch)
    _require(width > 0, "target_width must be > 0.")
    _require(height > 0, "target_height must be > 0.")
    wider, higher = width - columns, height - rows
    cut = _largest(-higher // 2, 0), _largest(-wider // 2, 0)
    made = crop_to_bounding_box(source, *cut, _least(height, rows), _least(width, columns))
    around = _largest(higher // 2, 0), _largest(wider // 2, 0)
    made = pad_to_bounding_box(made, *around, height, width)
    return with_dependencies([], made)


def _largest(one: Any, other: Any) -> Any:
    known = not isinstance(one, Tensor) and not isinstance(other, Tensor)
    return max(one, other) if known else apply("Maximum", one, other)


def _least(one: Any, other: Any) -> Any:
    known = not isinstance(one, Tensor) and not isinstance(other, Tensor)
    return min(one, other) if known else apply("Minimum", one, other)


def _known(size: Any) -> Any:
    return None if isinstance(size, Tensor) else size


for _function, _name in (
    (_cropped, "crop_to_bounding_box"), (_framed, "pad_to_bounding_box"),
    (_fitted, "resize_image_with_crop_or_pad"),
):  # fmt: skip
    _function.__name__ = _name
_crop, _frame, _fit = _in_batch(_cropped), _in_batch(_framed), _in_batch(_fitted)
