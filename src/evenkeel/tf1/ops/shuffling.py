"""The order in which TensorFlow's datasets shuffle: a buffer, and one Philox word a draw."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from evenkeel.tf1.random.philox import Stream, words

_AHEAD = 1024  # blocks of words computed together


class Seeds(NamedTuple):
    """The two seeds of a dataset; (0, 0) is unpredictable."""

    seed: int
    seed2: int


class Draws:
    """Words of a Philox stream, one after the other."""

    def __init__(self, seeds: tuple[int, int]) -> None:
        self._stream = Stream.seeded(*seeds)
        self._ready: deque[int] = deque()

    def __call__(self) -> int:
        """The next 32 bits."""
        if not self._ready:
            place = self._stream.reserve(_AHEAD)
            block = words(place, np.arange(_AHEAD, dtype=np.uint64))
            self._ready.extend(block.reshape(-1).tolist())
        return self._ready.popleft()


def shuffled(
    begin: Callable[[], Iterator[Any]], size: int, draw: Draws, count: int
) -> Iterator[Any]:
    """Elements of ``count`` passes (-1: without end) in random order.

    A buffer of ``size`` elements is a ring in which the passes lie one after the other; each draw
    takes one element of the oldest pass, and the first of that pass moves into its place.

    Source:  ShuffleDataset and ShuffleAndRepeatDataset of TensorFlow 1.15
    """
    ring: list[Any] = [None] * size if size <= 1 << 16 else []
    passes = deque([[0, 0]])  # where each pass that is in the buffer begins and ends
    elements: Iterator[tuple[bool, Any]] | None = _across(begin, count)
    held = 0
    while True:
        while elements is not None and held < size:
            found = next(elements, None)
            if found is None:
                elements = None
                break
            is_new, element = found
            if is_new:
                passes.append([passes[-1][1]] * 2)
            at = passes[-1][1] % size
            ring.extend([None] * (at + 1 - len(ring)))
            ring[at] = element
            passes[-1][1] += 1
            held += 1
        if not held:
            return
        while passes[0][0] == passes[0][1]:
            passes.popleft()
        first, last = passes[0]
        chosen, start = (first + draw() % (last - first)) % size, first % size
        element, ring[chosen] = ring[chosen], ring[start]
        ring[start] = None
        passes[0][0] += 1
        held -= 1
        yield element


def _across(begin: Callable[[], Iterator[Any]], count: int) -> Iterator[tuple[bool, Any]]:
    """Each element, and whether it is the first of a pass that follows another."""
    done = 0
    while count < 0 or done < count:
        empty = True
        for element in begin():
            yield empty and done > 0, element
            empty = False
        if empty and (done == 0 or count < 0):
            return  # without an element there is no end to wait for
        done += 1
