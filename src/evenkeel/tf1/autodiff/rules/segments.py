"""Gradients of rows brought together by number: each row gets what its segment got."""

from typing import Any

from evenkeel.tf1.api.arrays import concat, expand_dims, rank, shape, where
from evenkeel.tf1.api.constants import fill, ones_like, zeros_like
from evenkeel.tf1.api.indexing import gather
from evenkeel.tf1.api.math import cast, divide
from evenkeel.tf1.api.segments import segment_sum, unsorted_segment_sum
from evenkeel.tf1.build import apply, constant
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.table import GRADIENTS

rule = GRADIENTS.add


@rule("SegmentSum")
def summed(op: Operation, grad: Any) -> list[Any]:
    """The row of the segment."""
    return [gather(grad, op.inputs[1]), None]


@rule("SegmentMean")
def averaged(op: Operation, grad: Any) -> list[Any]:
    """The row of the segment over the number of its rows."""
    places = rank(op.inputs[0])
    sizes = concat([shape(op.inputs[1]), fill(expand_dims(places - 1, 0), 1)], 0)
    ones = fill(sizes, constant(1, grad.dtype))
    scaled = divide(grad, segment_sum(ones, op.inputs[1]))
    return [gather(scaled, op.inputs[1]), None]


@rule("SegmentMax", "SegmentMin")
def chosen(op: Operation, grad: Any) -> list[Any]:
    """Shared by the rows that are the segment's."""
    data, ids = op.inputs
    zeros = zeros_like(data, dtype=data.dtype)
    taken = apply("Equal", data, gather(op.outputs[0], ids))
    count = segment_sum(cast(taken, grad.dtype), ids)
    return [where(taken, gather(divide(grad, count), ids), zeros), None]


def _kept(rows: Any, ids: Any, safe: Any = None, kept: Any = None) -> tuple[Any, Any, Any]:
    """(rows by number, zeros for negative ones; the numbers without those; which are kept)."""
    if safe is None:
        safe = apply("Maximum", ids, zeros_like(ids))
    found = gather(rows, safe)
    if kept is None:
        kept = apply("GreaterEqual", ids, 0)
        for _ in found.shape.as_list()[ids.shape.ndims :]:
            kept = expand_dims(kept, -1)
        kept = kept & ones_like(found, dtype="bool")
    return where(kept, found, zeros_like(found)), safe, kept


@rule("UnsortedSegmentSum")
def summed_anywhere(op: Operation, grad: Any) -> list[Any]:
    """The row of each segment; zeros for a negative number."""
    return [_kept(grad, op.inputs[1])[0], None, None]


@rule("UnsortedSegmentMax", "UnsortedSegmentMin")
def chosen_anywhere(op: Operation, grad: Any) -> list[Any]:
    """Shared by the rows that are the segment's."""
    data, ids, count = op.inputs
    found, safe, kept = _kept(op.outputs[0], ids)
    taken = apply("LogicalAnd", apply("Equal", data, found), kept)
    number = unsorted_segment_sum(cast(taken, grad.dtype), ids, count)
    rows, _, _ = _kept(divide(grad, number), None, safe, kept)
    return [where(taken, rows, zeros_like(rows)), None, None]
