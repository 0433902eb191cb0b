"""Datasets with functions: map, filter, flat_map, interleave, generators, prefetch."""

import collections
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.datasets import Element, Make, batches, positive
from evenkeel.tf1.ops.rules import scalar
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.values import to_numpy

_AUTOTUNE = -1


def _applied(function: Any, state: Any, others: list[Any]) -> Callable[[Element], Element]:
    call = function.bound(state)
    return lambda element: call(*element, *others)


def _chosen(number: int, name: str, op: Any) -> None:
    """That a number is positive, or left to TensorFlow."""
    if number != _AUTOTUNE:
        positive(number, name, op)


@op("MapDataset", shape=scalar)
def map_dataset(source: Make, others: list[Any], *, f: Any, state: Any) -> Make:
    """A function of each element."""
    call = _applied(f, state, others)
    return lambda fused: map(call, source(fused))


@op("ParallelMapDataset", host=("num_parallel_calls",), shape=scalar)
def parallel_map(
    source: Make, others: list[Any], calls: int, *, f: Any, state: Any, op: Any
) -> Make:
    """A function of each element, several at once, in order."""
    _chosen(calls, "num_parallel_calls", op)
    call = _applied(f, state, others)
    threads = (os.cpu_count() or 1) if calls == _AUTOTUNE else calls
    return lambda fused: _ahead(call, source(fused), threads)


def _ahead(call: Callable[[Any], Any], elements: Iterator[Any], threads: int) -> Iterator[Any]:
    waiting: collections.deque[Future[Any]] = collections.deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for element in elements:
                waiting.append(pool.submit(call, element))
                if len(waiting) >= threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@op("MapAndBatchDataset", shape=scalar,
    host=("batch_size", "num_parallel_calls", "drop_remainder"))  # fmt: skip
def map_and_batch(
    source: Make, others: list[Any], size: int, calls: int, drop_remainder: bool, *, f: Any,
    state: Any, op: Any,
) -> Make:  # fmt: skip
    """A function of each element, and several results in one."""
    positive(size, "batch_size", op)
    _chosen(calls, "num_parallel_calls", op)
    call = _applied(f, state, others)
    return lambda fused: batches(map(call, source(fused)), size, drop_remainder)


@op("FilterDataset", shape=scalar)
def filter_dataset(source: Make, others: list[Any], *, predicate: Any, state: Any) -> Make:
    """The elements of which a function is true."""
    call = _applied(predicate, state, others)
    return lambda fused: (e for e in source(fused) if bool(call(e)[0]))


@op("FlatMapDataset", shape=scalar)
def flat_map(source: Make, others: list[Any], *, f: Any, state: Any) -> Make:
    """The datasets that a function makes of the elements, one after the other."""
    call = _applied(f, state, others)
    return lambda fused: (inner for e in source(fused) for inner in call(e)[0](fused))


@op("InterleaveDataset", "ParallelInterleaveDatasetV2", shape=scalar,
    host=("cycle_length", "block_length", "num_parallel_calls"))  # fmt: skip
def interleave(
    source: Make, others: list[Any], cycle: int, block: int, calls: int = 1, *, f: Any, state: Any,
    op: Any,
) -> Make:  # fmt: skip
    """The datasets that a function makes of the elements, several in turn."""
    _chosen(cycle, "cycle_length", op)
    positive(block, "block_length", op)
    _chosen(calls, "num_parallel_calls", op)
    call = _applied(f, state, others)
    slots = (os.cpu_count() or 1) if cycle == _AUTOTUNE else cycle

    def make(fused: bool) -> Iterator[Element]:
        return _in_turn(lambda e: call(e)[0](fused), source(fused), slots, block)

    return make


@op("ParallelInterleaveDataset", shape=scalar,
    host=("cycle_length", "block_length", "sloppy", "buffer_output_elements",
          "prefetch_input_elements"))  # fmt: skip
def parallel_interleave(
    source: Make, others: list[Any], cycle: int, block: int, *_: Any, f: Any, state: Any, op: Any
) -> Make:
    """``interleave``: always in order, which sloppiness allows."""
    made: Make = interleave(source, others, cycle, block, f=f, state=state, op=op)
    return made


def _in_turn(
    begin: Callable[[Element], Iterator[Element]],
    sources: Iterator[Element],
    slots: int,
    block: int,
) -> Iterator[Element]:
    """``block`` elements of each of ``slots`` datasets; an ended one makes room for the next."""
    current: list[Iterator[Element] | None] = [None] * slots
    at, taken, more = 0, 0, True
    while more or any(c is not None for c in current):
        here = current[at]
        if here is None and more:
            source = next(sources, None)
            more = source is not None
            current[at] = begin(source) if source is not None else None
            continue
        element = None if here is None else next(here, None)
        if element is not None:
            yield element
            taken += 1
        else:
            current[at] = None
        if element is None or taken == block:
            at, taken = (at + 1) % slots, 0


@op("PrefetchDataset", host=("buffer_size",), shape=scalar)
def prefetch(source: Make, size: int, *, op: Any) -> Make:
    """The elements, computed ahead on a thread."""
    if size < 0 and size != _AUTOTUNE:
        raise errors.InvalidArgumentError(None, op, "buffer_size must be >= 0")
    return lambda fused: _Prefetched(source(fused), size if size > 0 else 2)


class _Prefetched:
    """A thread that fills a buffer; it ends with the elements, or when nobody reads any more."""

    def __init__(self, elements: Iterator[Element], size: int) -> None:
        self._elements = elements
        self._ready: collections.deque[tuple[Any, Any]] = collections.deque()
        self._shared = _Shared(elements, size, self._ready)
        self._begun = False

    def __iter__(self) -> "_Prefetched":
        return self

    def __next__(self) -> Element:
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._shared.fill, daemon=True).start()
        return self._shared.take()

    def __del__(self) -> None:
        self._shared.stop()


class _Shared:
    """What the reader and the filling thread of ``_Prefetched`` share."""

    def __init__(self, elements: Iterator[Element], size: int, ready: Any) -> None:
        self._elements, self._size, self._ready = elements, size, ready
        self._changed, self._stopped, self._ended = threading.Condition(), False, False

    def fill(self) -> None:
        """The thread: elements, or an error in the place of one, until the end."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or len(self._ready) < self._size)
                if self._stopped:
                    return
            found: tuple[Any, Any]
            try:
                found = (next(self._elements), None)
            except StopIteration:
                found = (None, StopIteration())
            except Exception as error:  # noqa: BLE001  # raised again where the element is read
                found = (None, error)
            with self._changed:
                self._ready.append(found)
                self._changed.notify_all()
            if isinstance(found[1], StopIteration):
                return

    def take(self) -> Element:
        """The next element; StopIteration at the end, and again after it."""
        with self._changed:
            if self._ended:
                raise StopIteration
            self._changed.wait_for(lambda: bool(self._ready))
            element, error = self._ready.popleft()
            self._changed.notify_all()
            if error is not None:
                self._ended = isinstance(error, StopIteration)
                raise error
            return element  # type: ignore[no-any-return]  # an element where there is no error

    def stop(self) -> None:
        """Nobody reads any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


@op("GeneratorDataset", stateful=True, shape=scalar)
def generator_dataset(
    args: list[Any], _next: list[Any], _finalize: list[Any], *, next_func: Any, device: Any
) -> Make:
    """What a Python generator of numpy values yields."""
    return lambda fused: next_func([to_numpy(a) for a in args], device)


@op("IgnoreErrorsDataset", shape=scalar)
def ignore_errors(source: Make) -> Make:
    """The elements that could be computed."""

    def make(fused: bool) -> Iterator[Element]:
        elements = source(fused)
        while True:
            try:
                element = next(elements)
            except StopIteration:
                return
            except errors.OpError:
                continue
            yield element

    return make


@op("UnbatchDataset", shape=scalar)
def unbatch(source: Make) -> Make:
    """The rows of each element, one by one."""
    return lambda fused: (
        tuple([c[i] for c in element]) for element in source(fused) for i in range(len(element[0]))
    )


@op("ReduceDataset", shape=lambda node: list(node.attrs["output_shapes"]))
def reduce_dataset(
    source: Make, initial: list[Any], others: list[Any], *, f: Any, state: Any
) -> Any:
    """A state that a function changes with each element."""
    call, values = f.bound(state), list(initial)
    for element in source(False):
        values = call(*values, *element, *others)
    return values[0] if len(values) == 1 else tuple(values)
