"""Summary nodes: values as TensorFlow's Summary messages, in bytes."""

import io
from typing import Any

import numpy as np

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.rules import scalar
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.values import to_numpy


def _limits() -> Any:
    """TensorFlow's: each a tenth more than the one before, from 1e-12 to 1e20, on both sides of 0."""
    positive = [1e-12]
    while (following := positive[-1] * 1.1) < 1e20:
        positive.append(following)
    ends = [*positive, np.finfo(np.float64).max]
    return np.array([*(-v for v in reversed(ends)), 0.0, *ends])


LIMITS = _limits()


def _wrapped(message: Any) -> Any:
    found = np.empty((), object)
    found[()] = message if isinstance(message, bytes) else message.SerializeToString()
    return found


def _text(value: Any) -> str:
    item = value.item() if hasattr(value, "item") else value
    return item.decode() if isinstance(item, bytes) else str(item)


def _summary(**value: Any) -> Any:
    from evenkeel.tf1.proto import Summary

    return Summary(value=[Summary.Value(**value)])


@op("ScalarSummary", stateful=True, shape=scalar)
def scalar_summary(tags: Any, values: Any, *, op: Any) -> Any:
    """One number a tag."""
    from evenkeel.tf1.proto import Summary

    numbers = np.asarray(to_numpy(values), np.float64)
    names = np.asarray(tags, object)
    if names.shape != numbers.shape:
        raise errors.InvalidArgumentError(
            None, op,
            f"tags and values not the same shape: {list(names.shape)} != {list(numbers.shape)} "
            f"(tag '{_text(names.reshape(-1)[0]) if names.size else ''}')",
        )  # fmt: skip
    pairs = zip(names.reshape(-1), numbers.reshape(-1), strict=True)
    rows = [Summary.Value(tag=_text(t), simple_value=float(np.float32(n))) for t, n in pairs]
    return _wrapped(Summary(value=rows))


@op("HistogramSummary", stateful=True, shape=scalar)
def histogram_summary(tag: Any, values: Any, *, op: Any) -> Any:
    """How many values lie between each two limits."""
    numbers = np.asarray(to_numpy(values), np.float64).reshape(-1)
    if not np.isfinite(numbers).all():
        kind = "Nan" if np.isnan(numbers).any() else "Infinity"
        raise errors.InvalidArgumentError(None, op, f"{kind} in summary histogram for: {op.name}")
    return _wrapped(_summary(tag=_text(tag), histo=histogram(numbers)))


def histogram(numbers: Any) -> Any:
    """A HistogramProto: runs of empty buckets are one."""
    from evenkeel.tf1.proto import HistogramProto

    low, high = (numbers.min(), numbers.max()) if numbers.size else (LIMITS[-1], -LIMITS[-1])
    counts = np.bincount(np.searchsorted(LIMITS, numbers, side="right"), minlength=len(LIMITS))
    limits, buckets = _without_empty_runs(counts)
    return HistogramProto(
        min=low, max=high, num=numbers.size, sum=numbers.sum(), sum_squares=(numbers**2).sum(),
        bucket_limit=limits, bucket=buckets,
    )  # fmt: skip


def _without_empty_runs(counts: Any) -> tuple[list[float], list[float]]:
    limits, buckets, at = [], [], 0
    while at < len(counts):
        end, count = LIMITS[at], float(counts[at])
        at += 1
        while count <= 0 and at < len(counts) and counts[at] <= 0:
            end = LIMITS[at]
            at += 1
        limits.append(float(end))
        buckets.append(count)
    return limits, buckets


@op("MergeSummary", stateful=True, shape=scalar)
def merge_summary(inputs: list[Any], *, op: Any) -> Any:
    """All values together; a tag may come once."""
    from evenkeel.tf1.proto import Summary

    merged, tags = Summary(), set()
    for part in [v for value in inputs for v in np.asarray(value, object).reshape(-1)]:
        for row in Summary.FromString(part).value:
            if row.tag and row.tag in tags:
                raise errors.InvalidArgumentError(
                    None, op, f"Duplicate tag {row.tag} found in summary inputs"
                )
            tags.add(row.tag)
            merged.value.append(row)
    return _wrapped(merged)


@op("TensorSummaryV2", stateful=True, shape=scalar)
def tensor_summary(tag: Any, tensor: Any, metadata: Any) -> Any:
    """A whole tensor."""
    from evenkeel.tf1.graph_io.tensors import tensor_to_proto
    from evenkeel.tf1.literal import dtype_of
    from evenkeel.tf1.proto import SummaryMetadata

    array = np.asarray(to_numpy(tensor))
    proto = tensor_to_proto(array, dtype_of(array))
    described = SummaryMetadata.FromString(metadata.item())
    return _wrapped(_summary(tag=_text(tag), metadata=described, tensor=proto))


@op("ImageSummary", stateful=True, shape=scalar)
def image_summary(tag: Any, tensor: Any, *, max_images: int, op: Any) -> Any:
    """Images as PNG; floating point ones are scaled to 0 to 255, each for itself."""
    from evenkeel.tf1.proto import Summary

    images = np.asarray(to_numpy(tensor))
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4):
        raise errors.InvalidArgumentError(
            None, op,
            "Tensor must be 4-D with last dim 1, 3, or 4, not "
            f"[{','.join(map(str, images.shape))}]",
        )  # fmt: skip
    rows = []
    for index, one in enumerate(images[:max_images]):
        name = f"{_text(tag)}/image" + ("" if max_images == 1 else f"/{index}")
        height, width, depth = one.shape
        png = _png(one if one.dtype == np.uint8 else _scaled(one))
        shown = Summary.Image(
            height=height, width=width, colorspace=depth, encoded_image_string=png
        )
        rows.append(Summary.Value(tag=name, image=shown))
    return _wrapped(Summary(value=rows))


def _scaled(image: Any) -> Any:
    """0 to the maximum becomes 0 to 255; with negative values, 0 becomes 128. Not finite: red."""
    values = np.asarray(image, np.float32)
    good: Any = np.isfinite(values).all(axis=-1)
    low = float(values[good].min()) if good.any() else 0.0
    high = float(values[good].max()) if good.any() else 0.0
    most = max(abs(low), abs(high)) if low < 0 else high
    scale = 0.0 if most < 1e-6 else (127.0 if low < 0 else 255.0) / most
    made = (np.where(good[..., None], values, 0) * scale + (128.0 if low < 0 else 0.0)).astype(
        np.uint8
    )
    made[~good] = np.array([255, 0, 0, 255][: made.shape[-1]], np.uint8)
    return made


def _png(image: Any) -> bytes:
    from evenkeel.tf1.ops.encoded_images import pillow

    file = io.BytesIO()
    pillow().fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()
