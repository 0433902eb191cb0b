"""PNG and JPEG: images as bytes; Pillow reads and writes them."""

import importlib
import io
from typing import Any

import numpy as np
import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.rules import scalar
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape
from evenkeel.tf1.values import to_numpy

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def pillow() -> Any:
    """Pillow's Image module; UnimplementedError where it is not installed."""
    try:
        return importlib.import_module("PIL.Image")
    except ImportError:
        raise errors.UnimplementedError(
            None, None, "images are read and written with Pillow, which is not installed"
        ) from None


def _decoded(contents: Any, channels: int, op: Any) -> Any:
    try:
        image = pillow().open(io.BytesIO(contents.item()))
        image.load()
    except OSError as error:
        # Pillow names the object that it read from: its address says nothing.
        words = str(error).partition(" <_io")[0]
        raise errors.InvalidArgumentError(None, op, f"Invalid image data: {words}") from None
    if getattr(image, "n_frames", 1) > 1:
        words = f"Got {image.n_frames} frames, but animations cannot be decoded by this op."
        raise errors.InvalidArgumentError(None, op, words)
    return image.convert(_MODES[channels]) if channels else image


def _shape(node: Any) -> list[TensorShape]:
    return [TensorShape([None, None, node.attrs["channels"] or None])]


@op("DecodeJpeg", stateful=True, shape=_shape)
def decode_jpeg(contents: Any, *, channels: int, ratio: int, op: Any) -> Any:
    """An image ``[height, width, channels]`` of bytes; ``ratio`` makes it smaller."""
    image = _decoded(contents, channels, op)
    if ratio > 1:
        image = image.reduce(ratio)
    return _pixels(image, np.uint8)


@op("DecodePng", stateful=True, shape=_shape)
def decode_png(contents: Any, *, channels: int, dtype: Any, op: Any) -> Any:
    """An image ``[height, width, channels]``; also of the other formats that Pillow knows."""
    return _pixels(_decoded(contents, channels, op), dtype.as_numpy_dtype)


def _pixels(image: Any, kind: Any) -> Any:
    if image.mode in ("P", "1"):
        image = image.convert("RGB" if image.mode == "P" else "L")
    array = np.array(image)
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype == np.uint8 and kind == np.uint16:
        array = array.astype(np.uint16) * 257
    if array.dtype != np.uint8 and kind == np.uint8:
        array = (array.astype(np.uint32) >> 8).astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(array.astype(kind)))


def _encoded(image: Any, name: str, **options: Any) -> Any:
    array = np.asarray(to_numpy(image))
    file = io.BytesIO()
    made = pillow().fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    made.save(file, name, **options)
    found = np.empty((), object)
    found[()] = file.getvalue()
    return found


@op("EncodePng", stateful=True, shape=scalar)
def encode_png(image: Any, *, compression: int) -> Any:
    """A PNG file."""
    return _encoded(image, "PNG", compress_level=6 if compression < 0 else compression)


@op("EncodeJpeg", stateful=True, shape=scalar)
def encode_jpeg(image: Any, *, quality: int, progressive: bool) -> Any:
    """A JPEG file."""
    return _encoded(image, "JPEG", quality=quality, progressive=progressive)
