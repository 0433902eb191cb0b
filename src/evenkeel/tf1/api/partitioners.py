"""How variables are cut: functions of a shape and a type that say how many parts each axis gets."""

import math
from typing import Any

from evenkeel.tf1.dtypes import as_dtype
from evenkeel.tf1.partitioned_variable import PartitionedVariable

__all__ = [
    "PartitionedVariable", "fixed_size_partitioner", "min_max_variable_partitioner",
    "variable_axis_size_partitioner",
]  # fmt: skip


def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Any:
    """So many parts along an axis, or as many as it is long."""

    def partitions(shape: Any, **_: Any) -> list[int]:
        sizes = shape.as_list()
        return _along(sizes, axis, min(num_shards, sizes[axis]))

    return partitions


def variable_axis_size_partitioner(
    max_shard_bytes: int, axis: int = 0, bytes_per_string_element: int = 16,
    max_shards: int | None = None,
) -> Any:  # fmt: skip
    """Parts of at most so many bytes, and at least one entry of the axis each."""
    if max_shard_bytes < 1 or bytes_per_string_element < 1 or (max_shards or 1) < 1:
        raise ValueError("Both max_shard_bytes and bytes_per_string_element must be positive.")

    def partitions(shape: Any, dtype: Any) -> list[int]:
        sizes = shape.as_list()
        entry = math.prod(sizes) // sizes[axis] * _bytes(dtype, bytes_per_string_element)
        count = math.ceil(sizes[axis] / max(1, max_shard_bytes // entry))
        return _along(sizes, axis, min(max_shards or count, count))

    return partitions


def min_max_variable_partitioner(
    max_partitions: int = 1, axis: int = 0, min_slice_size: int = 256 << 10,
    bytes_per_string_element: int = 16,
) -> Any:  # fmt: skip
    """Up to so many parts of at least so many bytes."""

    def partitions(shape: Any, dtype: Any) -> list[int]:
        sizes = shape.as_list()
        if axis >= len(sizes):
            raise ValueError(
                f"Cannot partition variable along axis {axis} when shape is only {sizes}"
            )
        whole = math.prod(sizes) * _bytes(dtype, bytes_per_string_element)
        most = min(sizes[axis], max_partitions, math.ceil(whole / min_slice_size))
        return _along(sizes, axis, max(1, most))

    return partitions


def _along(sizes: list[int], axis: int, count: int) -> list[int]:
    return [count if a == axis else 1 for a in range(len(sizes))]


def _bytes(dtype: Any, of_text: int) -> int:
    kind = as_dtype(dtype).base_dtype
    return of_text if kind.name == "string" else kind.size
