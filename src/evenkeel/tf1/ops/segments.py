"""Rows brought together by segment: in order of their numbers, or in any order."""

from collections.abc import Callable
from typing import Any

import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.fold import folded
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape, unknown_shape

_KINDS = {"Sum": "sum", "Mean": "mean", "Max": "amax", "Min": "amin", "Prod": "prod"}


def _joined(data: Any, ids: Any, count: int, kind: str, empty: float) -> Any:
    """Rows of one number as one row; those of negative numbers nowhere."""
    rest = data.shape[ids.ndim :]
    numbers, rows = ids.reshape(-1).long(), data.reshape(-1, *rest)
    if bool((numbers < 0).any()):
        rows, numbers = rows[numbers >= 0], numbers[numbers >= 0]
    base = torch.full((count, *rest), empty, dtype=data.dtype, device=data.device)
    if kind == "sum":
        return base.index_add(0, numbers, rows)
    places = numbers.reshape(-1, *[1] * len(rest)).expand_as(rows)
    return base.scatter_reduce(0, places, rows, kind, include_self=False)


def _segments(node: Any) -> list[TensorShape]:
    data, ids, count = node.inputs
    if data.shape.ndims is None or ids.shape.ndims is None:
        return [unknown_shape()]
    known = folded(count)
    rows = None if known is None else int(known)
    return [TensorShape([rows]).concatenate(data.shape[ids.shape.ndims :])]


def _sorted(node: Any) -> list[TensorShape]:
    data = node.inputs[0].shape
    return [unknown_shape() if data.ndims is None else TensorShape([None]).concatenate(data[1:])]


def _empty(name: str, data: Any) -> float:
    """What a segment without rows holds."""
    if name in ("Sum", "Prod"):
        return 0 if name == "Sum" else 1
    limits = torch.finfo(data.dtype) if data.dtype.is_floating_point else torch.iinfo(data.dtype)
    return limits.min if name == "Max" else limits.max


def _unordered(name: str) -> Callable[..., Any]:
    def segments(data: Any, ids: Any, count: int) -> Any:
        return _joined(data, ids, count, _KINDS[name], _empty(name, data))

    segments.__doc__ = f"The {name.lower()} of the rows of each segment."
    return segments


def _ordered(name: str) -> Callable[..., Any]:
    def segments(data: Any, ids: Any, *, op: Any) -> Any:
        if bool((ids[1:] < ids[:-1]).any()):
            raise errors.InvalidArgumentError(None, op, "segment ids are not increasing")
        count = int(ids[-1]) + 1 if len(ids) else 0
        return _joined(data, ids, count, _KINDS[name], 1 if name == "Prod" else 0)

    segments.__doc__ = f"The {name.lower()} of the rows of each segment, one after another."
    return segments


for _name in _KINDS:
    op(f"Segment{_name}", stateful=True, shape=_sorted)(_ordered(_name))
    if _name != "Mean":
        op(f"UnsortedSegment{_name}", host=("num_segments",), shape=_segments)(_unordered(_name))
