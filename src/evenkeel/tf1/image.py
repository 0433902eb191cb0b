"""``tf.image``: resizing, flipping, cropping, contrast."""

from typing import Any

from evenkeel.tf1.api import arrays, reductions
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.control_ops import with_dependencies

__all__ = [
    "ResizeMethod", "flip_left_right", "flip_up_down", "per_image_standardization",
    "resize", "resize_bicubic", "resize_bilinear", "resize_image_with_crop_or_pad",
    "resize_images", "resize_nearest_neighbor",
]  # fmt: skip


class ResizeMethod:
    """How outputs are mixed from inputs."""

    BILINEAR = 0
    NEAREST_NEIGHBOR = 1
    BICUBIC = 2
    AREA = 3


def _resize(kind: str) -> Any:
    def resize_(
        images: Any, size: Any, align_corners: bool = False, name: Any = None,
        half_pixel_centers: bool = False,
    ) -> Any:  # fmt: skip
        return apply(
            kind, images, size, align_corners=align_corners,
            half_pixel_centers=half_pixel_centers, name=name,
        )  # fmt: skip

    resize_.__doc__ = f"{kind} of a batch of images."
    return resize_


resize_bilinear, resize_bicubic = _resize("ResizeBilinear"), _resize("ResizeBicubic")
resize_nearest_neighbor = _resize("ResizeNearestNeighbor")


def resize_images(
    images: Any, size: Any, method: int = ResizeMethod.BILINEAR, align_corners: bool = False,
    preserve_aspect_ratio: bool = False, name: Any = None,
) -> Any:  # fmt: skip
    """An image or a batch of them in another size."""
    with name_scope(name, "resize", [images, size]):
        source = convert(images, name="images")
        rank = source.shape.ndims
        if rank is None:
            raise ValueError("'images' contains no shape.")
        if rank not in (3, 4):
            raise ValueError("'images' must have either 3 or 4 dimensions.")
        batch = arrays.expand_dims(source, 0) if rank == 3 else source
        sizes = convert(size, "int32", name="size")
        runs = {
            ResizeMethod.BILINEAR: resize_bilinear,
            ResizeMethod.NEAREST_NEIGHBOR: resize_nearest_neighbor,
            ResizeMethod.BICUBIC: resize_bicubic,
        }
        if method == ResizeMethod.AREA:
            made = apply("ResizeArea", batch, sizes, align_corners=align_corners)
        elif method in runs:
            made = runs[method](batch, sizes, align_corners)
        else:
            raise ValueError("Resize method is not implemented.")
        return arrays.squeeze(made, [0]) if rank == 3 else made


resize = resize_images


def _flip(axis_from_end: int, name_: str) -> Any:
    def flip(image: Any, name: Any = None) -> Any:
        with name_scope(name, name_, [image]):
            source = with_dependencies([], convert(image, name="image"))
            return apply("ReverseV2", source, [len(source.shape) - axis_from_end])

    flip.__doc__ = f"{name_} of an image or a batch of them."
    return flip


flip_left_right, flip_up_down = _flip(2, "flip_left_right"), _flip(3, "flip_up_down")


def per_image_standardization(image: Any) -> Any:
    """Each image with mean 0 and deviation 1; no deviation below 1 / √pixels."""
    with name_scope(None, "per_image_standardization", [image]) as scope:
        source = cast(convert(image, name="image"), "float32")
        axes = [-1, -2, -3]
        pixels = reductions.reduce_prod(arrays.shape(source)[-3:])
        mean = reductions.reduce_mean(source, axes, keepdims=True)
        squares = reductions.reduce_mean(apply("Square", source), axes, keepdims=True)
        variance = apply("Relu", squares - apply("Square", mean))
        least = apply("Rsqrt", cast(pixels, "float32"))
        scale = apply("Maximum", apply("Sqrt", variance), least)
        return apply("RealDiv", apply("Sub", source, mean), scale, name=scope)


def resize_image_with_crop_or_pad(image: Any, target_height: int, target_width: int) -> Any:
    """The middle of an image, or the image in the middle of zeros."""
    source = convert(image, name="image")
    rank = len(source.shape)
    at = rank - 3
    for axis, wanted in ((at, target_height), (at + 1, target_width)):
        size = source.shape.sizes[axis]
        if size is None:
            raise ValueError("resize_image_with_crop_or_pad needs images of known size")
        before = abs(size - wanted) // 2
        if size > wanted:
            begin = [before if a == axis else 0 for a in range(rank)]
            lengths = [wanted if a == axis else -1 for a in range(rank)]
            source = arrays.slice(source, begin, lengths)
        elif size < wanted:
            sides = [[0, 0] for _ in range(rank)]
            sides[axis] = [before, wanted - size - before]
            source = arrays.pad(source, sides)
    return source


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.image.{name}", __all__)
