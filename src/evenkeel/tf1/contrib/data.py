"""``tf.contrib.data``: the first home of ``tf.data.experimental``."""

from typing import Any

from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.data.dataset import AUTOTUNE, Dataset
from evenkeel.tf1.data.experimental import (
    Transformation,
    ignore_errors,
    map_and_batch,
    parallel_interleave,
    shuffle_and_repeat,
    unbatch,
)

__all__ = [
    "AUTOTUNE", "batch_and_drop_remainder", "ignore_errors", "map_and_batch",
    "padded_batch_and_drop_remainder", "parallel_interleave", "shuffle_and_repeat", "unbatch",
]  # fmt: skip


def batch_and_drop_remainder(batch_size: Any) -> Transformation:
    """Several elements in one; what remains at the end is left out."""

    def change(dataset: Dataset) -> Dataset:
        return dataset.batch(batch_size, drop_remainder=True)

    return change


def padded_batch_and_drop_remainder(
    batch_size: Any, padded_shapes: Any, padding_values: Any = None
) -> Transformation:
    """Several elements in one, filled up to one shape; what remains at the end is left out."""

    def change(dataset: Dataset) -> Dataset:
        return dataset.padded_batch(batch_size, padded_shapes, padding_values, drop_remainder=True)

    return change


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.contrib.data.{name}", __all__)
