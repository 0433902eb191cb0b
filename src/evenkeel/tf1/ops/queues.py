"""Queues: rows that threads put in and take out, waiting for one another."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.datasets import _padded
from evenkeel.tf1.ops.rules import scalar, unknown
from evenkeel.tf1.ops.shuffling import Draws
from evenkeel.tf1.ops.table import op

Row = tuple[Any, ...]


class Queue:
    """First in, first out; ``pick`` chooses another place to take from."""

    def __init__(
        self, name: str, kind: str, capacity: int, least: int = 0,
        pick: Callable[[], int] | None = None, pads: Any = None,
    ) -> None:  # fmt: skip
        self.name, self.kind, self.pads = name, kind, pads
        self._capacity = capacity if capacity > 0 else 1 << 62
        self._least, self._pick = least, pick
        self._rows: Any = deque() if pick is None else []
        self._changed = threading.Condition()
        self.is_closed, self._cancelled = False, False

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, rows: list[Row], op: Any) -> None:
        """Append rows, waiting for room; CancelledError where the queue is closed."""
        with self._changed:
            if self.is_closed:
                raise errors.CancelledError(None, op, f"{self.kind} '{self.name}' is closed.")
            for row in rows:
                self._changed.wait_for(lambda: self._cancelled or len(self) < self._capacity)
                if self._cancelled:
                    raise errors.CancelledError(None, op, "Enqueue operation was cancelled")
                self._rows.append(row)
                self._changed.notify_all()

    def take(self, count: int, fewer: bool, op: Any) -> list[Row]:
        """So many rows, waiting for them; fewer at the end where that is allowed.

        Raises:  OutOfRangeError where the queue is closed and has not enough
        """
        rows: list[Row] = []
        with self._changed:
            while len(rows) < count:
                self._changed.wait_for(lambda: self.is_closed or len(self) > self._least)
                if self._rows:
                    rows.append(self._one())
                    self._changed.notify_all()
                    continue
                if rows and fewer:
                    break
                self._put_back(rows)
                raise errors.OutOfRangeError(
                    None, op,
                    f"{self.kind} '_{self.name}' is closed and has insufficient elements "
                    f"(requested {count}, current size {len(rows)})",
                )  # fmt: skip
        return rows

    def _one(self) -> Row:
        if self._pick is None:
            return self._rows.popleft()  # type: ignore[no-any-return]
        at = self._pick() % len(self._rows)
        self._rows[at], self._rows[-1] = self._rows[-1], self._rows[at]
        return self._rows.pop()  # type: ignore[no-any-return]

    def _put_back(self, rows: list[Row]) -> None:
        if self._pick is None:
            self._rows.extendleft(reversed(rows))
        else:
            self._rows.extend(rows)

    def close(self, cancel: bool) -> None:
        """Let nothing more in; with ``cancel`` those who wait to put rows in give up."""
        with self._changed:
            self.is_closed = True
            self._cancelled = self._cancelled or cancel
            self._changed.notify_all()


def _kept(state: Any, op: Any, make: Callable[[str], Queue]) -> Queue:
    name = op.attrs["shared_name"] or op.name
    found: Queue = state.resources.setdefault(f"queue:{name}", make(name))
    return found


@op("FIFOQueueV2", "FIFOQueue", stateful=True, shape=scalar)
def fifo_queue(*, op: Any, state: Any, capacity: int) -> Queue:
    """Rows in order."""
    return _kept(state, op, lambda name: Queue(name, "FIFOQueue", capacity))


@op("PaddingFIFOQueueV2", "PaddingFIFOQueue", stateful=True, shape=scalar)
def padding_queue(*, op: Any, state: Any, capacity: int, shapes: Any) -> Queue:
    """Rows in order; several are filled up to one shape."""
    pads = [[-1 if s is None else s for s in shape.sizes] for shape in shapes]
    return _kept(state, op, lambda name: Queue(name, "PaddingFIFOQueue", capacity, pads=pads))


@op("RandomShuffleQueueV2", "RandomShuffleQueue", stateful=True, shape=scalar)
def shuffle_queue(
    *, op: Any, state: Any, capacity: int, min_after_dequeue: int, seed: int, seed2: int
) -> Queue:
    """Rows in random order, drawn while more than ``min_after_dequeue`` are there."""

    def make(name: str) -> Queue:
        draws = Draws((seed, seed2))
        return Queue(name, "RandomShuffleQueue", capacity, min_after_dequeue, draws)

    return _kept(state, op, make)


@op("QueueEnqueueV2", stateful=True)
def enqueue(queue: Queue, components: list[Any], *, op: Any) -> None:
    """One row."""
    queue.put([tuple(components)], op)


@op("QueueEnqueueManyV2", stateful=True)
def enqueue_many(queue: Queue, components: list[Any], *, op: Any) -> None:
    """The rows of tensors."""
    sizes = {len(c) for c in components}
    if len(sizes) > 1:
        raise errors.InvalidArgumentError(
            None, op, "Shape mismatch in tuple component: all components must have equal lengths"
        )
    count = next(iter(sizes))
    queue.put([tuple([_row(c, i) for c in components]) for i in range(count)], op)


def _row(component: Any, index: int) -> Any:
    return component[index] if isinstance(component, torch.Tensor) else component[index, ...]


@op("QueueDequeueV2", stateful=True, shape=unknown)
def dequeue(queue: Queue, *, op: Any) -> Any:
    """One row."""
    (row,) = queue.take(1, False, op)
    return row[0] if len(row) == 1 else row


@op("QueueDequeueManyV2", stateful=True, shape=unknown, host=("n",))
def dequeue_many(queue: Queue, count: int, *, op: Any) -> Any:
    """Several rows as tensors."""
    return _joined(queue, queue.take(count, False, op), op)


@op("QueueDequeueUpToV2", stateful=True, shape=unknown, host=("n",))
def dequeue_up_to(queue: Queue, count: int, *, op: Any) -> Any:
    """Several rows as tensors; fewer at the end."""
    return _joined(queue, queue.take(count, True, op), op)


def _joined(queue: Queue, rows: list[Row], op: Any) -> Any:
    if not rows:
        raise errors.InvalidArgumentError(None, op, "cannot dequeue 0 elements")
    columns = [list(column) for column in zip(*rows, strict=True)]
    if queue.pads:
        fills = [0 if isinstance(c[0], torch.Tensor) else b"" for c in columns]
        zipped = zip(columns, queue.pads, fills, strict=True)
        found = tuple([_padded(c, shape, fill) for c, shape, fill in zipped])
    else:
        found = tuple(
            [torch.stack(c) if isinstance(c[0], torch.Tensor) else np.stack(c) for c in columns]
        )
    return found[0] if len(found) == 1 else found


@op("QueueCloseV2", stateful=True)
def close(queue: Queue, *, cancel_pending_enqueues: bool) -> None:
    """Let nothing more in."""
    queue.close(cancel_pending_enqueues)


@op("QueueSizeV2", stateful=True, shape=scalar)
def size(queue: Queue) -> Any:
    """How many rows are there."""
    return torch.tensor(len(queue), dtype=torch.int32)


@op("QueueIsClosedV2", stateful=True, shape=scalar)
def is_closed(queue: Queue) -> Any:
    """Whether it was closed."""
    return torch.tensor(queue.is_closed)
