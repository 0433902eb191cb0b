"""``tf.image``: images as PNG and JPEG; Pillow reads and writes them when the graph runs."""

from typing import Any

from evenkeel.tf1.build import apply
from evenkeel.tf1.nodes import Tensor

__all__ = ["decode_jpeg", "decode_png", "encode_jpeg", "encode_png"]


def decode_jpeg(
    contents: Any, channels: int = 0, ratio: int = 1, fancy_upscaling: bool = True,
    try_recover_truncated: bool = False, acceptable_fraction: float = 1.0, dct_method: str = "",
    name: Any = None,
) -> Tensor:  # fmt: skip
    """The pixels ``[height, width, channels]`` of a JPEG, uint8.

    ``fancy_upscaling`` and ``dct_method`` choose between decoders of libjpeg: without meaning here.
    """
    return apply(  # type: ignore[no-any-return]
        "DecodeJpeg", contents, channels=channels, ratio=ratio, fancy_upscaling=fancy_upscaling,
        try_recover_truncated=try_recover_truncated, acceptable_fraction=acceptable_fraction,
        dct_method=dct_method, name=name,
    )  # fmt: skip


def decode_png(contents: Any, channels: int = 0, dtype: Any = "uint8", name: Any = None) -> Tensor:
    """The pixels ``[height, width, channels]`` of a PNG, uint8 or uint16."""
    return apply("DecodePng", contents, channels=channels, dtype=dtype, name=name)  # type: ignore[no-any-return]


def encode_png(image: Any, compression: int = -1, name: Any = None) -> Tensor:
    """A PNG of pixels ``[height, width, channels]``."""
    return apply("EncodePng", image, compression=compression, name=name)  # type: ignore[no-any-return]


def encode_jpeg(
    image: Any, format: str = "", quality: int = 95, progressive: bool = False, name: Any = None
) -> Tensor:
    """A JPEG of pixels ``[height, width, channels]``; ``format`` is that of the pixels."""
    return apply(  # type: ignore[no-any-return]
        "EncodeJpeg", image, format=format, quality=quality, progressive=progressive, name=name
    )
