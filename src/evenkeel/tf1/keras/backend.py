"""``tf.keras.backend``: the few functions that programs without Keras call."""

from typing import Any

from evenkeel.tf1.api.math import clip_by_value
from evenkeel.tf1.build import convert
from evenkeel.tf1.catalogue import missing

__all__ = ["epsilon", "floatx", "hard_sigmoid", "image_data_format"]


def hard_sigmoid(x: Any) -> Any:
    """A straight line in the sigmoid's place: min(max(0.2 x + 0.5, 0), 1)."""
    slope, half = convert(0.2, x.dtype.base_dtype), convert(0.5, x.dtype.base_dtype)
    return clip_by_value(x * slope + half, 0.0, 1.0)


def epsilon() -> float:
    """What Keras adds to divisors."""
    return 1e-07


def floatx() -> str:
    """Keras's element type."""
    return "float32"


def image_data_format() -> str:
    """Keras's order of axes."""
    return "channels_last"


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.keras.backend.{name}", __all__)
