"""Sizes of windows and of what comes out of them."""

from typing import Any


def tuple_of(value: Any, count: int, name: str) -> tuple[int, ...]:
    """``value`` for each axis.

    >>> tuple_of(3, 2, "kernel_size")
    (3, 3)
    """
    if isinstance(value, int):
        return (value,) * count
    try:
        found = tuple(int(v) for v in value)
    except (TypeError, ValueError):
        found = ()
    if len(found) != count:
        raise ValueError(
            f"The `{name}` argument must be a tuple of {count} integers. Received: {value}"
        )
    return found


def format_of(rank: int, first: bool) -> str:
    """TensorFlow's word for the layout of ``rank`` axes of an image."""
    image = {1: "W", 2: "HW", 3: "DHW"}[rank]
    return f"NC{image}" if first else f"N{image}C"


def outputs_of(image: Any, kernel: Any, strides: Any, rates: Any, padding: str) -> list[int | None]:
    """How many outputs each axis has."""
    made: list[int | None] = []
    for size, width, stride, rate in zip(image, kernel, strides, rates, strict=True):
        if size is None:
            made.append(None)
        else:
            room = size if padding == "same" else size - (width - 1) * rate
            made.append(-(-room // stride))
    return made
