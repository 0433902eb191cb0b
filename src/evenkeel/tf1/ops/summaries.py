"""Summary nodes: values as TensorFlow's Summary messages, in bytes."""

import struct
from typing import Any

import numpy as np

from evenkeel.checkpoint.wire import write_varint
from evenkeel.tf1 import errors
from evenkeel.tf1.ops.rules import scalar
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.values import to_numpy

# The limits of TensorFlow's histograms: each a tenth more than the one before, on both sides of 0.
_POSITIVE = [1e-12 * 1.1**i for i in range(775)]
LIMITS = [-1.7976931348623157e308, *(-v for v in reversed(_POSITIVE)), 0.0, *_POSITIVE]
LIMITS.append(1.7976931348623157e308)


def block(number: int, content: bytes) -> bytes:
    """A field of bytes."""
    return write_varint(number << 3 | 2) + write_varint(len(content)) + content


def double(number: int, value: float) -> bytes:
    """A field of 8 bytes."""
    return write_varint(number << 3 | 1) + struct.pack("<d", value)


def _wrapped(message: bytes) -> Any:
    found = np.empty((), object)
    found[()] = message
    return found


def _text(value: Any) -> bytes:
    item = value.item() if hasattr(value, "item") else value
    return item if isinstance(item, bytes) else str(item).encode()


def _value(tag: bytes, content: bytes) -> bytes:
    return block(1, block(1, tag) + content)


@op("ScalarSummary", stateful=True, shape=scalar)
def scalar_summary(tags: Any, values: Any) -> Any:
    """One number a tag."""
    numbers = np.asarray(to_numpy(values), np.float64).reshape(-1)
    pairs = zip(np.asarray(tags, object).reshape(-1), numbers, strict=True)
    made = [_value(_text(t), write_varint(2 << 3 | 5) + struct.pack("<f", n)) for t, n in pairs]
    return _wrapped(b"".join(made))


@op("HistogramSummary", stateful=True, shape=scalar)
def histogram_summary(tag: Any, values: Any, *, op: Any) -> Any:
    """How many values lie between each two limits."""
    numbers = np.asarray(to_numpy(values), np.float64).reshape(-1)
    if not np.isfinite(numbers).all():
        raise errors.InvalidArgumentError(None, op, f"Nan in summary histogram for: {op.name}")
    return _wrapped(_value(_text(tag), block(5, histogram(numbers))))


def histogram(numbers: Any) -> bytes:
    """A HistogramProto."""
    low, high = (numbers.min(), numbers.max()) if numbers.size else (LIMITS[-1], -LIMITS[-1])
    counts = np.bincount(np.searchsorted(LIMITS, numbers, side="right"), minlength=len(LIMITS))
    used = np.nonzero(counts)[0]
    keep = range(max(int(used[0]) - 1, 0), int(used[-1]) + 1) if used.size else range(1)
    limits = b"".join(struct.pack("<d", LIMITS[i]) for i in keep)
    buckets = b"".join(struct.pack("<d", counts[i]) for i in keep)
    head = double(1, low) + double(2, high) + double(3, numbers.size) + double(4, numbers.sum())
    return head + double(5, (numbers**2).sum()) + block(6, limits) + block(7, buckets)


@op("MergeSummary", stateful=True, shape=scalar)
def merge_summary(inputs: list[Any]) -> Any:
    """All values together."""
    return _wrapped(b"".join(_text(v) for v in inputs))
