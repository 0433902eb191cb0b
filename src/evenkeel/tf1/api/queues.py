"""Queues and the readers that take file names from them."""

from typing import Any

from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.dtypes import as_dtype
from evenkeel.tf1.fold import constant_value
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.random.seeds import op_seeds
from evenkeel.tf1.shapes import TensorShape, as_shape, unknown_shape
from evenkeel.tf1.stacks import get_default_graph

__all__ = [
    "FIFOQueue", "FixedLengthRecordReader", "IdentityReader", "PaddingFIFOQueue", "QueueBase",
    "RandomShuffleQueue", "ReaderBase", "TFRecordReader", "TextLineReader", "WholeFileReader",
]  # fmt: skip


class QueueBase:
    """A queue of rows: what FIFOQueue and its kin share.

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     queue = tf.FIFOQueue(8, tf.int32, shapes=[[]])
    ...     fill, taken = queue.enqueue_many([[1, 2, 3]]), queue.dequeue_many(2)
    ...     sess.run(fill)
    ...     print(sess.run(taken), sess.run(queue.size()))
    [1 2] 1
    """

    def __init__(self, dtypes: Any, shapes: Any, names: Any, queue_ref: Tensor) -> None:
        self._dtypes, self._names, self._queue_ref = dtypes, names, queue_ref
        self._shapes = shapes or [unknown_shape() for _ in dtypes]
        self._name = queue_ref.op.name.rpartition("/")[2]

    @property
    def queue_ref(self) -> Tensor:
        """The queue as a tensor."""
        return self._queue_ref

    @property
    def name(self) -> str:
        """The name of its node."""
        return self._queue_ref.op.name

    @property
    def dtypes(self) -> list[Any]:
        """The types of the components."""
        return list(self._dtypes)

    @property
    def shapes(self) -> list[TensorShape]:
        """The static shapes of the components."""
        return list(self._shapes)

    @property
    def names(self) -> Any:
        """The names of the components, or None."""
        return self._names

    def _components(self, vals: Any) -> list[Tensor]:
        if isinstance(vals, dict) != bool(self._names):
            words = "Queue must have names to enqueue a dictionary"
            words = (
                words if not self._names else "You must enqueue a dictionary in a Queue with names"
            )
            raise ValueError(words)
        if isinstance(vals, dict):
            if set(vals) != set(self._names):
                raise ValueError(
                    "Keys in dictionary to enqueue do not match names of Queue.  Dictionary: "
                    f"({sorted(vals)}), Queue: ({sorted(self._names)})"
                )
            vals = [vals[name] for name in self._names]
        listed = vals if isinstance(vals, list | tuple) else [vals]
        pairs = enumerate(zip(listed, self._dtypes, strict=False))
        return [convert(v, kind, f"component_{i}") for i, (v, kind) in pairs]

    def _put(self, vals: Any, name: str | None, many: bool) -> Operation:
        default = f"{self._name}_EnqueueMany" if many else f"{self._name}_enqueue"
        given = list(vals.values()) if isinstance(vals, dict) else vals
        given = given if isinstance(given, list | tuple) else [given]
        with name_scope(name, default, given) as scope:
            tensors = self._components(vals)
            for tensor, shape in zip(tensors, self._shapes, strict=True):
                row = tensor.shape[1:] if many else tensor.shape
                row.assert_is_compatible_with(shape)
            kind = "QueueEnqueueManyV2" if many else "QueueEnqueueV2"
            return apply(kind, self._queue_ref, tensors, name=scope)  # type: ignore[no-any-return]

    def enqueue(self, vals: Any, name: str | None = None) -> Operation:
        """A node that puts one row in; it waits for room."""
        return self._put(vals, name, many=False)

    def enqueue_many(self, vals: Any, name: str | None = None) -> Operation:
        """A node that puts the rows of tensors in."""
        return self._put(vals, name, many=True)

    def _taken(self, tensors: list[Tensor], rows: TensorShape) -> Any:
        for tensor, shape in zip(tensors, self._shapes, strict=True):
            tensor.set_shape(rows.concatenate(shape))
        if self._names:
            return dict(zip(self._names, tensors, strict=True))
        return tensors[0] if len(tensors) == 1 else tensors

    def dequeue(self, name: str | None = None) -> Any:
        """One row; it waits for one. OutOfRangeError where the queue is closed and empty."""
        name = name or f"{self._name}_Dequeue"
        found = apply("QueueDequeueV2", self._queue_ref, component_types=self._dtypes, name=name)
        return self._taken(found, TensorShape([]))

    def dequeue_many(self, n: Any, name: str | None = None) -> Any:
        """``n`` rows as tensors; OutOfRangeError where the queue is closed and has fewer."""
        name = name or f"{self._name}_DequeueMany"
        attrs = {"component_types": self._dtypes, "name": name}
        found = apply("QueueDequeueManyV2", self._queue_ref, n, **attrs)
        count = constant_value(found[0].op.inputs[1])
        return self._taken(found, TensorShape([None if count is None else int(count)]))

    def dequeue_up_to(self, n: Any, name: str | None = None) -> Any:
        """``n`` rows as tensors, fewer at the end."""
        name = name or f"{self._name}_DequeueUpTo"
        attrs = {"component_types": self._dtypes, "name": name}
        found = apply("QueueDequeueUpToV2", self._queue_ref, n, **attrs)
        return self._taken(found, TensorShape([None]))

    def close(self, cancel_pending_enqueues: bool = False, name: str | None = None) -> Operation:
        """A node that lets nothing more in."""
        name = name or f"{self._name}_Close"
        return apply(  # type: ignore[no-any-return]
            "QueueCloseV2", self._queue_ref, cancel_pending_enqueues=cancel_pending_enqueues,
            name=name,
        )  # fmt: skip

    def is_closed(self, name: str | None = None) -> Tensor:
        """Whether it was closed."""
        return apply("QueueIsClosedV2", self._queue_ref, name=name or f"{self._name}_Is_Closed")  # type: ignore[no-any-return]

    def size(self, name: str | None = None) -> Tensor:
        """How many rows are there."""
        return apply("QueueSizeV2", self._queue_ref, name=name or f"{self._name}_Size")  # type: ignore[no-any-return]


def _described(dtypes: Any, shapes: Any, names: Any) -> tuple[list[Any], list[TensorShape], Any]:
    types = [as_dtype(t) for t in (dtypes if isinstance(dtypes, list | tuple) else [dtypes])]
    if shapes is None:
        sizes = []
    elif len(types) == 1 and not (
        isinstance(shapes, list | tuple)
        and len(shapes) == 1
        and isinstance(shapes[0], list | tuple | TensorShape)
    ):
        sizes = [as_shape(shapes)]
    else:
        sizes = [as_shape(s) for s in shapes]
    if sizes and len(sizes) != len(types):
        raise ValueError("Queue shapes must have the same length as dtypes")
    named = [names] if isinstance(names, str) else names
    if named is not None and len(named) != len(types):
        raise ValueError("Queue names must have the same length as dtypes")
    return types, sizes, named


class FIFOQueue(QueueBase):
    """Rows in the order in which they were put in."""

    def __init__(
        self, capacity: int, dtypes: Any, shapes: Any = None, names: Any = None,
        shared_name: str | None = None, name: str = "fifo_queue",
    ) -> None:  # fmt: skip
        types, sizes, named = _described(dtypes, shapes, names)
        attrs = {"component_types": types, "shapes": sizes, "shared_name": shared_name or ""}
        ref = apply("FIFOQueueV2", capacity=capacity, name=name, **attrs)
        super().__init__(types, sizes, named, ref)


class PaddingFIFOQueue(QueueBase):
    """Rows in order; taken together they are filled up with zeros to one shape."""

    def __init__(
        self, capacity: int, dtypes: Any, shapes: Any, names: Any = None,
        shared_name: str | None = None, name: str = "padding_fifo_queue",
    ) -> None:  # fmt: skip
        types, sizes, named = _described(dtypes, shapes, names)
        if len(sizes) != len(types):
            raise ValueError(f"Shapes must be provided for all components: {shapes}")
        attrs = {"component_types": types, "shapes": sizes, "shared_name": shared_name or ""}
        ref = apply("PaddingFIFOQueueV2", capacity=capacity, name=name, **attrs)
        super().__init__(types, sizes, named, ref)


class RandomShuffleQueue(QueueBase):
    """Rows in random order; while it is open, ``min_after_dequeue`` rows stay in it."""

    def __init__(
        self, capacity: int, min_after_dequeue: int, dtypes: Any, shapes: Any = None,
        names: Any = None, seed: int | None = None, shared_name: str | None = None,
        name: str = "random_shuffle_queue",
    ) -> None:  # fmt: skip
        types, sizes, named = _described(dtypes, shapes, names)
        graph = get_default_graph()
        first, second = op_seeds(graph.seed, seed, graph._last_id)
        ref = apply(
            "RandomShuffleQueueV2", component_types=types, shapes=sizes, capacity=capacity,
            min_after_dequeue=min_after_dequeue, seed=first or 0, seed2=second or 0,
            shared_name=shared_name or "", name=name,
        )  # fmt: skip
        super().__init__(types, sizes, named, ref)


class ReaderBase:
    """Reads records of the files whose names a queue holds."""

    def __init__(self, reader_ref: Tensor) -> None:
        self._reader_ref = reader_ref

    @property
    def reader_ref(self) -> Tensor:
        """The reader as a tensor."""
        return self._reader_ref

    def read(self, queue: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
        """The next record: its key and its value. OutOfRangeError after the last file."""
        ref = getattr(queue, "queue_ref", queue)
        key, value = apply("ReaderReadV2", self._reader_ref, ref, name=name)
        return key, value

    def num_records_produced(self, name: str | None = None) -> Tensor:
        """How many records were read."""
        return apply("ReaderNumRecordsProducedV2", self._reader_ref, name=name)  # type: ignore[no-any-return]


class WholeFileReader(ReaderBase):
    """A whole file a record; its key is its name."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(apply("WholeFileReaderV2", name=name))


class IdentityReader(ReaderBase):
    """The file's name itself, as key and value."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(apply("IdentityReaderV2", name=name))


class TextLineReader(ReaderBase):
    """A line a record; its key is ``file:line``."""

    def __init__(self, skip_header_lines: int | None = None, name: str | None = None) -> None:
        super().__init__(
            apply("TextLineReaderV2", skip_header_lines=skip_header_lines or 0, name=name)
        )


class FixedLengthRecordReader(ReaderBase):
    """Records of one length between header and footer; ``hop_bytes`` from one to the next."""

    def __init__(
        self, record_bytes: int, header_bytes: int | None = None, footer_bytes: int | None = None,
        hop_bytes: int | None = None, name: str | None = None, encoding: str | None = None,
    ) -> None:  # fmt: skip
        attrs = {"header_bytes": header_bytes, "footer_bytes": footer_bytes, "hop_bytes": hop_bytes}
        kind = "FixedLengthRecordReaderV2"
        super().__init__(
            apply(kind, record_bytes=record_bytes, encoding=encoding, name=name, **attrs)
        )


class TFRecordReader(ReaderBase):
    """A record of a TFRecord file."""

    def __init__(self, name: str | None = None, options: Any = None) -> None:
        packing = getattr(options, "compression", "") or ""
        super().__init__(apply("TFRecordReaderV2", compression_type=packing, name=name))
