"""Datasets: a value is a function that begins a pass, ``make(fused) -> iterator of elements``.

An element is a tuple of values. ``fused`` says that TensorFlow's optimizer was at work: it makes
``shuffle`` followed by ``repeat`` one operation, whose order is another.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.rules import scalar
from evenkeel.tf1.ops.shuffling import Draws, Seeds, shuffled
from evenkeel.tf1.ops.table import op

Element = tuple[Any, ...]
Make = Callable[[bool], Iterator[Element]]


@op("TensorDataset", stateful=True, shape=scalar)
def tensor_dataset(components: list[Any]) -> Make:
    """One element."""
    return lambda fused: iter([tuple(components)])


@op("TensorSliceDataset", stateful=True, shape=scalar)
def tensor_slice_dataset(components: list[Any], *, op: Any) -> Make:
    """An element for each index of the first axis."""
    sizes = {len(c) for c in components}
    if len(sizes) > 1:
        raise errors.InvalidArgumentError(
            None, op, "All components must have the same size in the 0th dimension"
        )

    def make(fused: bool) -> Iterator[Element]:
        columns = [c if isinstance(c, torch.Tensor) else list(map(_text, c)) for c in components]
        for index in range(next(iter(sizes))):
            yield tuple([column[index] for column in columns])

    return make


def _text(value: Any) -> Any:
    """One string as a value: an array of objects without axes."""
    if isinstance(value, np.ndarray):
        return value
    found = np.empty((), object)
    found[()] = value
    return found


@op("RangeDataset", host=("start", "stop", "step"), stateful=True, shape=scalar)
def range_dataset(start: int, stop: int, step: int) -> Make:
    """Numbers in order."""
    return lambda fused: ((torch.tensor(i),) for i in range(start, stop, step))


@op("ZipDataset", shape=scalar)
def zip_dataset(inputs: list[Make]) -> Make:
    """The elements of several datasets side by side, to the end of the shortest."""

    def make(fused: bool) -> Iterator[Element]:
        passes = [source(fused) for source in inputs]
        return (sum(row, ()) for row in zip(*passes, strict=False))

    return make


@op("ConcatenateDataset", shape=scalar)
def concatenate_dataset(first: Make, second: Make) -> Make:
    """One dataset after the other."""

    def make(fused: bool) -> Iterator[Element]:
        yield from first(fused)
        yield from second(fused)

    return make


class _Shuffled:
    """A dataset in random order; ``repeat`` may take it over."""

    def __init__(self, source: Make, size: int, seeds: Seeds, reshuffles: bool) -> None:
        self.source, self.size, self.seeds = source, size, seeds
        self.reshuffles, self._each = reshuffles, Draws(seeds)

    def __call__(self, fused: bool) -> Iterator[Element]:
        """One pass; where each pass has an order of its own, so has its seed."""
        seeds = (self._each(), self._each()) if self.reshuffles else self.seeds
        yield from shuffled(lambda: self.source(fused), self.size, Draws(seeds), 1)

    def repeated(self, fused: bool, count: int) -> Iterator[Element]:
        """Several passes as one."""
        return shuffled(lambda: self.source(fused), self.size, Draws(self.seeds), count)


def positive(size: int, name: str, op: Any) -> int:
    """The number itself; InvalidArgumentError where it is not positive."""
    if size <= 0:
        raise errors.InvalidArgumentError(None, op, f"{name} must be greater than zero.")
    return size


@op("ShuffleDataset", host=("buffer_size", "seed", "seed2"), shape=scalar)
def shuffle_dataset(
    source: Make, size: int, seed: int, seed2: int, *, reshuffle_each_iteration: bool, op: Any
) -> Make:
    """The elements in random order, drawn from a buffer."""
    seeds = Seeds(seed, seed2)
    return _Shuffled(source, positive(size, "buffer_size", op), seeds, reshuffle_each_iteration)


@op("ShuffleAndRepeatDataset", host=("buffer_size", "seed", "seed2", "count"), shape=scalar)
def shuffle_and_repeat(
    source: Make, size: int, seed: int, seed2: int, count: int, *, op: Any
) -> Make:
    """Several passes, each in an order of its own."""
    both = _Shuffled(source, positive(size, "buffer_size", op), Seeds(seed, seed2), True)
    return lambda fused: both.repeated(fused, count)


@op("RepeatDataset", host=("count",), shape=scalar)
def repeat_dataset(source: Make, count: int) -> Make:
    """Several passes; -1: without end, as long as a pass has an element."""

    def make(fused: bool) -> Iterator[Element]:
        if fused and isinstance(source, _Shuffled) and source.reshuffles:
            yield from source.repeated(fused, count)
            return
        for _ in itertools.count() if count < 0 else range(count):
            there = False
            for element in source(fused):
                there = True
                yield element
            if not there:
                return

    return make


@op("TakeDataset", host=("count",), shape=scalar)
def take_dataset(source: Make, count: int) -> Make:
    """The first elements."""
    return lambda fused: itertools.islice(source(fused), None if count < 0 else count)


@op("SkipDataset", host=("count",), shape=scalar)
def skip_dataset(source: Make, count: int) -> Make:
    """All but the first elements; -1: none."""
    return lambda fused: iter(()) if count < 0 else itertools.islice(source(fused), count, None)


@op("ShardDataset", host=("num_shards", "index"), shape=scalar)
def shard_dataset(
    source: Make, count: int, index: int, *, op: Any, require_non_empty: bool
) -> Make:
    """Every ``count``-th element."""
    if count < 1:
        raise errors.InvalidArgumentError(
            None,
            op,
            f"Number of shards must be greater than zero (currently num_shards = {count}).",
        )
    if not 0 <= index < count:
        raise errors.InvalidArgumentError(
            None, op,
            f"Index must be between 0 and {count - 1} (currently index = {index}, num_shards = "
            f"{count}).",
        )  # fmt: skip
    return lambda fused: itertools.islice(source(fused), index, None, count)


@op("CacheDataset", host=("filename",), shape=scalar)
def cache_dataset(source: Make, filename: Any, *, op: Any) -> Make:
    """The elements, kept in memory once a pass came to its end."""
    if filename:
        raise errors.UnimplementedError(
            None, op, "Dataset.cache keeps elements in memory; a file is not supported here"
        )
    kept: list[list[Element]] = []

    def make(fused: bool) -> Iterator[Element]:
        if kept:
            yield from kept[0]
            return
        seen = []
        for element in source(fused):
            seen.append(element)
            yield element
        kept.append(seen)

    return make


@op("OptimizeDataset", shape=scalar)
def optimize_dataset(source: Make, optimizations: Any) -> Make:
    """The same elements; ``shuffle`` and ``repeat`` below are one."""
    return lambda fused: source(True)


@op("ModelDataset", shape=scalar)
def model_dataset(source: Make) -> Make:
    """The same elements."""
    return source


# ---- batches


@op("BatchDataset", "BatchDatasetV2", host=("batch_size", "drop_remainder"), shape=scalar)
def batch_dataset(source: Make, size: int, drop_remainder: bool = False, *, op: Any) -> Make:
    """Several elements in one."""
    positive(size, "Batch size", op)
    return lambda fused: batches(source(fused), size, drop_remainder)


def batches(elements: Iterator[Element], size: int, drop_remainder: bool) -> Iterator[Element]:
    """Elements stacked, so many at a time."""
    while group := list(itertools.islice(elements, size)):
        if len(group) == size or not drop_remainder:
            yield tuple([_stacked(i, list(c)) for i, c in enumerate(zip(*group, strict=True))])


def _stacked(index: int, values: list[Any]) -> Any:
    first = values[0].shape
    for at, value in enumerate(values):
        if value.shape != first:
            raise errors.InvalidArgumentError(
                None, None,
                f"Cannot batch tensors with different shapes in component {index}. First element "
                f"had shape {_shown(first)} and element {at} had shape {_shown(value.shape)}.",
            )  # fmt: skip
    return torch.stack(values) if isinstance(values[0], torch.Tensor) else np.stack(values)


def _shown(shape: Any) -> str:
    return f"[{','.join(map(str, shape))}]"


@op("PaddedBatchDataset", "PaddedBatchDatasetV2", shape=scalar,
    host=("batch_size", "padded_shapes", "padding_values", "drop_remainder"))  # fmt: skip
def padded_batch_dataset(
    source: Make, size: int, shapes: list[Any], padding: list[Any], drop_remainder: bool = False,
    *, op: Any,
) -> Make:  # fmt: skip
    """Several elements in one, each filled up to one shape; -1: the longest of the batch."""
    positive(size, "Batch size", op)

    def make(fused: bool) -> Iterator[Element]:
        elements = source(fused)
        while group := list(itertools.islice(elements, size)):
            if len(group) == size or not drop_remainder:
                columns = zip(zip(*group, strict=True), shapes, padding, strict=True)
                yield tuple([_padded(list(c), shape, fill) for c, shape, fill in columns])

    return make


def _padded(values: list[Any], shape: list[int], fill: Any) -> Any:
    if any(len(v.shape) != len(shape) for v in values):
        raise errors.InvalidArgumentError(
            None, None, "All elements in a batch must have the same rank as the padded shape"
        )
    longest = [max(v.shape[axis] for v in values) for axis in range(len(shape))]
    wanted = [a if s < 0 else s for a, s in zip(longest, shape, strict=True)]
    if any(a > w for a, w in zip(longest, wanted, strict=True)):
        raise errors.DataLossError(
            None, None, "Attempted to pad to a smaller size than the input element."
        )
    whole = _filled((len(values), *wanted), fill, values[0])
    for index, value in enumerate(values):
        whole[(index, *(slice(s) for s in value.shape))] = value
    return whole


def _filled(shape: tuple[int, ...], fill: Any, like: Any) -> Any:
    if isinstance(like, torch.Tensor):
        return torch.full(shape, fill, dtype=like.dtype, device=like.device)
    return np.full(shape, fill, dtype=object)
