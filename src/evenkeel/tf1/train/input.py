"""``tf.train.batch`` and its kin: input through queues, which threads fill."""

from typing import Any

from evenkeel.tf1.api.arrays import identity, size
from evenkeel.tf1.api.constants import range as range_
from evenkeel.tf1.api.control import Assert, cond
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.queues import FIFOQueue, PaddingFIFOQueue, RandomShuffleQueue
from evenkeel.tf1.build import apply, constant, convert, convert_many, name_scope
from evenkeel.tf1.control_ops import no_op
from evenkeel.tf1.dtypes import float32, int64
from evenkeel.tf1.fold import constant_value
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.queue_runner import QueueRunner, add_queue_runner


def limit_epochs(tensor: Any, num_epochs: int | None = None, name: str | None = None) -> Any:
    """The tensor, so many times; then OutOfRangeError."""
    from evenkeel.tf1.variables import Variable

    if num_epochs is None:
        return tensor
    if num_epochs <= 0:
        raise ValueError(f"num_epochs must be > 0 not {num_epochs}.")
    with name_scope(name, "limit_epochs", [tensor]) as scope:
        epochs = Variable(
            constant(0, int64), name="epochs", trainable=False,
            collections=[GraphKeys.LOCAL_VARIABLES],
        )  # fmt: skip
        counter = apply("CountUpTo", epochs, limit=num_epochs)
        with get_default_graph().control_dependencies([counter]):
            return identity(tensor, name=scope)


def _summarized(queue: Any, name: str, capacity: int, least: int = 0) -> None:
    from evenkeel.tf1.summary import scalar

    size = apply("Maximum", 0, queue.size() - least) if least else queue.size()
    scalar(name, cast(size, float32) * (1.0 / (capacity - least)))


def input_producer(
    input_tensor: Any, element_shape: Any = None, num_epochs: int | None = None,
    shuffle: bool = True, seed: int | None = None, capacity: int = 32,
    shared_name: str | None = None, summary_name: str | None = None, name: str | None = None,
    cancel_op: Any = None,
) -> FIFOQueue:  # fmt: skip
    """A queue of the rows of a tensor, epoch by epoch."""
    from evenkeel.tf1.random_api import shuffle as shuffled

    with name_scope(name, "input_producer", [input_tensor]):
        rows = convert(input_tensor, name="input_tensor")
        shape = rows.shape[1:].merge_with(element_shape)
        if not shape.is_fully_defined():
            raise ValueError(
                "Either `input_tensor` must have a fully defined shape or `element_shape` must be "
                "specified"
            )
        rows = limit_epochs(shuffled(rows, seed=seed) if shuffle else rows, num_epochs)
        kind = rows.dtype.base_dtype
        queue = FIFOQueue(
            capacity, [kind], [shape], shared_name=shared_name, name=name or "fifo_queue"
        )
        filled = queue.enqueue_many([rows])
        add_queue_runner(QueueRunner(queue, [filled], cancel_op=cancel_op))
        if summary_name is not None:
            _summarized(queue, summary_name, capacity)
        return queue


def string_input_producer(
    string_tensor: Any, num_epochs: int | None = None, shuffle: bool = True,
    seed: int | None = None, capacity: int = 32, shared_name: str | None = None,
    name: str | None = None, cancel_op: Any = None,
) -> FIFOQueue:  # fmt: skip
    """A queue of strings, mostly of file names."""
    words = "string_input_producer requires a non-null input tensor"
    if not isinstance(string_tensor, Tensor) and not len(string_tensor):
        raise ValueError(words)
    with name_scope(name, "input_producer", [string_tensor]) as scope:
        strings = convert(string_tensor, "string")
        check = Assert(apply("Greater", size(strings), 0), [words])
        with get_default_graph().control_dependencies([check]):
            strings = identity(strings)
        return input_producer(
            strings, [], num_epochs, shuffle, seed, capacity, shared_name,
            f"fraction_of_{capacity}_full", scope, cancel_op,
        )  # fmt: skip


def range_input_producer(
    limit: Any, num_epochs: int | None = None, shuffle: bool = True, seed: int | None = None,
    capacity: int = 32, shared_name: str | None = None, name: str | None = None,
) -> FIFOQueue:  # fmt: skip
    """A queue of the numbers below ``limit``."""
    with name_scope(name, "input_producer", [limit]) as scope:
        return input_producer(
            range_(limit), [], num_epochs, shuffle, seed, capacity, shared_name,
            f"fraction_of_{capacity}_full", scope,
        )  # fmt: skip


def slice_input_producer(
    tensor_list: Any, num_epochs: int | None = None, shuffle: bool = True,
    seed: int | None = None, capacity: int = 32, shared_name: str | None = None,
    name: str | None = None,
) -> list[Tensor]:  # fmt: skip
    """One row of each of several tensors: the same in all."""
    from evenkeel.tf1.api.arrays import shape
    from evenkeel.tf1.api.indexing import gather

    with name_scope(name, "input_producer", tensor_list):
        tensors = convert_many(tensor_list)
        if not tensors:
            raise ValueError("Expected at least one tensor in slice_input_producer().")
        count = shape(tensors[0])[0]
        queue = range_input_producer(count, num_epochs, shuffle, seed, capacity, shared_name)
        index = queue.dequeue()
        return [gather(t, index) for t in tensors]


class _Rows:
    """What is batched: the tensors in order, their types and shapes, and how they were given."""

    def __init__(self, tensors: Any, shapes: Any, enqueue_many: bool) -> None:
        self._keys = sorted(tensors, key=str) if isinstance(tensors, dict) else None
        given = [tensors[k] for k in self._keys] if self._keys is not None else tensors
        self.alone = not isinstance(given, list | tuple)
        self.tensors = convert_many([given] if self.alone else list(given))
        if not self.tensors:
            raise ValueError("Expected at least one tensor in batch().")
        self.types = [t.dtype.base_dtype for t in self.tensors]
        unknown = [t for t in self.tensors if t.shape.ndims is None]
        if shapes is None and unknown:
            raise ValueError(f"Cannot infer Tensor's rank: {unknown[0]}")
        own = [t.shape[1:] if enqueue_many else t.shape for t in self.tensors]
        self.shapes = own if shapes is None else list(shapes)

    def returned(self, found: Any) -> Any:
        """What came out of the queue, in the form given."""
        if self._keys is None:
            return found
        listed = [found] if len(self._keys) == 1 else found
        return dict(zip(self._keys, listed, strict=True))


def _fill(queue: Any, rows: _Rows, threads: int, many: bool, keep: Any) -> None:
    put = queue.enqueue_many if many else queue.enqueue
    if keep.shape.ndims != 0:
        raise NotImplementedError("keep_input: one truth value for a row, not a vector of them")
    known = constant_value(keep)
    if known is None:
        node = cond(keep, lambda: put(rows.tensors), no_op)
    else:
        node = put(rows.tensors) if known else no_op()
    add_queue_runner(QueueRunner(queue, [node] * threads))


def batch(
    tensors: Any, batch_size: int, num_threads: int = 1, capacity: int = 32,
    enqueue_many: bool = False, shapes: Any = None, dynamic_pad: bool = False,
    allow_smaller_final_batch: bool = False, shared_name: str | None = None,
    name: str | None = None, *, keep_input: Any = True,
) -> Any:  # fmt: skip
    """Several rows in one, taken from a queue that threads fill."""
    with name_scope(name, "batch", _values(tensors)) as scope:
        rows, kept = _Rows(tensors, shapes, enqueue_many), convert(keep_input, "bool")
        kind = PaddingFIFOQueue if dynamic_pad else FIFOQueue
        queue = kind(capacity, rows.types, rows.shapes, shared_name=shared_name)
        _fill(queue, rows, num_threads, enqueue_many, kept)
        _summarized(queue, f"fraction_of_{capacity}_full", capacity)
        take = queue.dequeue_up_to if allow_smaller_final_batch else queue.dequeue_many
        return rows.returned(take(batch_size, name=scope))


def shuffle_batch(
    tensors: Any, batch_size: int, capacity: int, min_after_dequeue: int, num_threads: int = 1,
    seed: int | None = None, enqueue_many: bool = False, shapes: Any = None,
    allow_smaller_final_batch: bool = False, shared_name: str | None = None,
    name: str | None = None, *, keep_input: Any = True,
) -> Any:  # fmt: skip
    """Several rows in one, drawn from a queue that threads fill."""
    with name_scope(name, "shuffle_batch", _values(tensors)) as scope:
        if capacity <= min_after_dequeue:
            raise ValueError(
                f"capacity {capacity} must be bigger than min_after_dequeue {min_after_dequeue}."
            )
        rows, kept = _Rows(tensors, shapes, enqueue_many), convert(keep_input, "bool")
        queue = RandomShuffleQueue(
            capacity, min_after_dequeue, rows.types, rows.shapes, seed=seed, shared_name=shared_name
        )
        _fill(queue, rows, num_threads, enqueue_many, kept)
        least = f"fraction_over_{min_after_dequeue}_of_{capacity - min_after_dequeue}_full"
        _summarized(queue, least, capacity, min_after_dequeue)
        take = queue.dequeue_up_to if allow_smaller_final_batch else queue.dequeue_many
        return rows.returned(take(batch_size, name=scope))


def _values(tensors: Any) -> list[Any]:
    return list(tensors.values()) if isinstance(tensors, dict) else list(tensors)
