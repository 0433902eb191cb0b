"""``tf.image``: resizing; ``image_shapes`` and ``image_colours`` have the rest."""

from typing import Any

from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.fold import constant_value
from evenkeel.tf1.image_colours import *  # noqa: F403  # every name of theirs is tf.image's
from evenkeel.tf1.image_colours import __all__ as colours
from evenkeel.tf1.image_files import *  # noqa: F403
from evenkeel.tf1.image_files import __all__ as files
from evenkeel.tf1.image_quality import *  # noqa: F403
from evenkeel.tf1.image_quality import __all__ as quality
from evenkeel.tf1.image_shapes import *  # noqa: F403
from evenkeel.tf1.image_shapes import __all__ as shapes

__all__ = [
    "ResizeMethod", "resize", "resize_bicubic", "resize_bilinear", "resize_images",
    "resize_nearest_neighbor", *colours, *files, *quality, *shapes,
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
        if preserve_aspect_ratio:
            sizes = _in_proportion(batch, sizes)
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


def _in_proportion(batch: Any, size: Any) -> Any:
    """The largest size of the images' own proportions that fits into ``size``."""
    known = constant_value(size)
    if known is None:
        raise ValueError(
            "preserve_aspect_ratio needs a size that is known while the graph is built"
        )
    there = arrays.shape(batch)
    heights = [cast(v, "float32") for v in (int(known[0]), there[1])]
    widths = [cast(v, "float32") for v in (int(known[1]), there[2])]
    scale = apply("Minimum", apply("RealDiv", *heights), apply("RealDiv", *widths))
    sides = [
        cast(apply("Round", apply("Mul", scale, side[1])), "int32") for side in (heights, widths)
    ]
    return convert(sides, "int32", name="size")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.image.{name}", __all__)
