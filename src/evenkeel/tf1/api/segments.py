"""``tf.segment_*`` and ``tf.unsorted_segment_*``: rows brought together by number."""

from typing import Any

from evenkeel.tf1.api.arrays import reshape, shape_of
from evenkeel.tf1.api.constants import ones
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.nodes import Tensor

__all__ = [
    "segment_max", "segment_mean", "segment_min", "segment_prod", "segment_sum",
    "unsorted_segment_max", "unsorted_segment_mean", "unsorted_segment_min",
    "unsorted_segment_prod", "unsorted_segment_sqrt_n", "unsorted_segment_sum",
]  # fmt: skip


def segment_sum(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """The sum of the rows of each segment; their numbers grow."""
    return apply("SegmentSum", data, segment_ids, name=name)  # type: ignore[no-any-return]


def segment_mean(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """The mean of the rows of each segment; their numbers grow."""
    return apply("SegmentMean", data, segment_ids, name=name)  # type: ignore[no-any-return]


def segment_max(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """The largest of the rows of each segment; their numbers grow."""
    return apply("SegmentMax", data, segment_ids, name=name)  # type: ignore[no-any-return]


def segment_min(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """The smallest of the rows of each segment; their numbers grow."""
    return apply("SegmentMin", data, segment_ids, name=name)  # type: ignore[no-any-return]


def segment_prod(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """The product of the rows of each segment; their numbers grow."""
    return apply("SegmentProd", data, segment_ids, name=name)  # type: ignore[no-any-return]


def unsorted_segment_sum(data: Any, segment_ids: Any, num_segments: Any, name: Any = None) -> Any:
    """The sum of the rows of each segment."""
    return apply("UnsortedSegmentSum", data, segment_ids, num_segments, name=name)


def unsorted_segment_max(data: Any, segment_ids: Any, num_segments: Any, name: Any = None) -> Any:
    """The largest of the rows of each segment."""
    return apply("UnsortedSegmentMax", data, segment_ids, num_segments, name=name)


def unsorted_segment_min(data: Any, segment_ids: Any, num_segments: Any, name: Any = None) -> Any:
    """The smallest of the rows of each segment."""
    return apply("UnsortedSegmentMin", data, segment_ids, num_segments, name=name)


def unsorted_segment_prod(data: Any, segment_ids: Any, num_segments: Any, name: Any = None) -> Any:
    """The product of the rows of each segment."""
    return apply("UnsortedSegmentProd", data, segment_ids, num_segments, name=name)


def unsorted_segment_mean(data: Any, segment_ids: Any, num_segments: Any, name: Any = None) -> Any:
    """The mean of the rows of each segment; 0 without any."""
    with name_scope(name, "UnsortedSegmentMean"):
        rows, ids = convert(data), convert(segment_ids)
        count = _counts(rows, ids, num_segments)
        return unsorted_segment_sum(rows, ids, num_segments) / count


def unsorted_segment_sqrt_n(
    data: Any, segment_ids: Any, num_segments: Any, name: Any = None
) -> Any:
    """The sum of the rows of each segment over the root of their number."""
    with name_scope(name, "UnsortedSegmentSqrtN"):
        rows, ids = convert(data), convert(segment_ids)
        count = _counts(rows, ids, num_segments)
        return unsorted_segment_sum(rows, ids, num_segments) / apply("Sqrt", count)


def _counts(rows: Tensor, ids: Tensor, segments: Any) -> Tensor:
    """The number of rows of each segment, at least 1, to divide by."""
    each = ones(shape_of(ids), dtype=rows.dtype)
    made = unsorted_segment_sum(each, ids, segments)
    further = [1] * ((rows.shape.ndims or 0) - (ids.shape.ndims or 0))
    return apply("Maximum", reshape(made, [segments, *further]), 1)  # type: ignore[no-any-return]
