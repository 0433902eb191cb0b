"""``tf.estimator.inputs``: input functions of arrays and tables, through a queue as TensorFlow's."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from evenkeel.tf1 import errors
from evenkeel.tf1.api.constants import placeholder
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.queues import FIFOQueue, RandomShuffleQueue
from evenkeel.tf1.build import apply, name_scope
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.dtypes import as_dtype, float32, int64
from evenkeel.tf1.train.queue_runner import QueueRunner, add_queue_runner

__all__ = ["numpy_input_fn", "pandas_input_fn"]


def numpy_input_fn(
    x: Any, y: Any = None, batch_size: int = 128, num_epochs: int | None = 1,
    shuffle: bool | None = None, queue_capacity: int = 1000, num_threads: int = 1,
) -> Callable[[], Any]:  # fmt: skip
    """An input function over arrays: ``x`` one or a dictionary, ``y`` None, one or a dictionary."""
    _check_shuffle(shuffle)

    def input_fn() -> Any:
        columns, names = _columns(x, y)
        queue = _filled(columns, queue_capacity, bool(shuffle), num_threads, batch_size, num_epochs)
        take = queue.dequeue_many if num_epochs is None else queue.dequeue_up_to
        batch = take(batch_size)[1:]
        return _returned(x, y, names, batch)

    return input_fn


def pandas_input_fn(
    x: Any, y: Any = None, batch_size: int = 128, num_epochs: int | None = 1,
    shuffle: bool | None = None, queue_capacity: int = 1000, num_threads: int = 1,
    target_column: str = "target",
) -> Callable[[], Any]:  # fmt: skip
    """An input function over a pandas DataFrame; ``y`` is a Series or a DataFrame."""
    _check_shuffle(shuffle)
    if y is not None and not np.array_equal(x.index, y.index):
        raise ValueError("Index for x and y are mismatched.")

    def input_fn() -> Any:
        table = {name: x[name].to_numpy() for name in x.columns}
        if y is None:
            target = None
        elif hasattr(y, "columns"):
            target = {name: y[name].to_numpy() for name in y.columns}
        else:
            target = y.to_numpy()
        whole = numpy_input_fn(
            table, target, batch_size, num_epochs, shuffle, queue_capacity, num_threads
        )
        return whole()

    return input_fn


def _check_shuffle(shuffle: Any) -> None:
    if not isinstance(shuffle, bool):
        raise ValueError(  # noqa: TRY004  # TensorFlow's class
            "shuffle must be provided and explicitly set as boolean (it is recommended to set it as "
            f"True for training); got {shuffle}"
        )


def _columns(x: Any, y: Any) -> tuple[list[Any], list[str]]:
    """The arrays of features and targets, and the names of the features."""
    if not isinstance(x, dict | np.ndarray):
        raise TypeError(f"x must be a dict or array; got {type(x).__name__}")
    features = x if isinstance(x, dict) else {"__direct_np_input__": x}
    targets = y if isinstance(y, dict) else {} if y is None else {"__target_key__": y}
    if not features:
        raise ValueError("x cannot be an empty dict")
    if isinstance(y, dict) and not y:
        raise ValueError("y cannot be empty dict, use None instead.")
    if both := set(features) & set(targets):
        raise ValueError(f"{len(both)} duplicate keys are found in both x and y: {both}")
    named = [(n, part[n]) for part in (features, targets) for n in sorted(part)]
    columns = [np.asarray(values) for _, values in named]
    if len({len(c) for c in columns}) != 1:
        raise ValueError(
            "Length of tensors in x and y is mismatched. All elements in x and y must have the same "
            f"length.\nShapes: {[c.shape for c in columns]}"
        )
    return columns, sorted(features)


def _returned(x: Any, y: Any, names: list[str], batch: list[Any]) -> Any:
    features = dict(zip(names, batch, strict=False)) if isinstance(x, dict) else batch[0]
    if y is None:
        return features
    if isinstance(y, dict):
        return features, dict(zip(sorted(y), batch[len(names) :], strict=True))
    return features, batch[-1]


def _filled(
    columns: list[Any], capacity: int, shuffle: bool, threads: int, size: int, epochs: int | None
) -> Any:
    """A queue of rows, with threads that fill it."""
    from evenkeel.tf1.summary import scalar

    with name_scope("enqueue_input"):
        types = [int64, *(as_dtype(c.dtype) for c in columns)]
        shapes = [(), *(c.shape[1:] for c in columns)]
        least = int(capacity / 4) if shuffle else 0
        queue: Any = (
            RandomShuffleQueue(capacity, least, dtypes=types, shapes=shapes)
            if shuffle
            else FIFOQueue(capacity, dtypes=types, shapes=shapes)
        )
        feeds, operations = [], []
        for _ in range(threads):
            holders = [placeholder(t) for t in types]
            operations.append(queue.enqueue_many(holders))
            feeds.append(_Rows(holders, columns, size, shuffle, epochs))
        add_queue_runner(_Feeding(queue, operations, feeds))
        free = apply("Maximum", 0, queue.size() - least)
        full = cast(free, float32) * (1.0 / (capacity - least))
        scalar(f"queue/{queue.name}fraction_over_{least}_of_{capacity - least}_full", full)
        return queue


class _Rows:
    """What one thread feeds: the rows in order, from a random one on where they are shuffled."""

    def __init__(
        self, holders: list[Any], columns: list[Any], size: int, random_start: bool,
        epochs: int | None,
    ) -> None:  # fmt: skip
        self._holders, self._columns, self._size = holders, columns, size
        count = len(columns[0])
        self._at = random.Random().randrange(count) if random_start else 0
        self._left = None if epochs is None else count * epochs

    def __call__(self) -> dict[Any, Any]:
        """The next rows; OutOfRangeError after the last epoch."""
        if self._left == 0:
            raise errors.OutOfRangeError(None, None, "Already emitted every epoch.")
        size = self._size if self._left is None else min(self._size, self._left)
        rows = np.arange(self._at, self._at + size) % len(self._columns[0])
        self._at = int(rows[-1] + 1) % len(self._columns[0])
        self._left = None if self._left is None else self._left - size
        values = [rows, *(c[rows] for c in self._columns)]
        return dict(zip(self._holders, values, strict=True))


class _Feeding(QueueRunner):
    """A runner whose threads feed what functions give."""

    def __init__(self, queue: Any, enqueue_ops: list[Any], feeds: list[_Rows]) -> None:
        super().__init__(queue, enqueue_ops)
        self._feeds = dict(zip(enqueue_ops, feeds, strict=True))

    def _fill(self, session: Any, op: Any) -> None:
        session.run(op, feed_dict=self._feeds[op]())


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.estimator.inputs.{name}", __all__)
