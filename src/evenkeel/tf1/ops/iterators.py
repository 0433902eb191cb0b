"""Iterators: passes over datasets that a session keeps."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.rules import scalar
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape


class Pass:
    """One iterator of a session: where it is in its dataset."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._elements: Iterator[Any] | None = None
        self._one_at_a_time = threading.Lock()

    @property
    def is_begun(self) -> bool:
        """Whether it has a dataset."""
        return self._elements is not None

    def begin(self, make: Any, fused: bool = False) -> None:
        """Start at the beginning of a dataset."""
        self._elements = make(fused)

    def next(self, op: Any) -> Any:
        """The next element; OutOfRangeError after the last."""
        if self._elements is None:
            raise errors.FailedPreconditionError(
                None, op,
                "GetNext() failed because the iterator has not been initialized. Ensure that you "
                "have run the initializer operation for this iterator before getting the next "
                "element.",
            )  # fmt: skip
        with self._one_at_a_time:
            try:
                return next(self._elements)
            except StopIteration:
                raise errors.OutOfRangeError(None, op, "End of sequence") from None


def _kept(state: Any, name: str) -> Pass:
    found: Pass = state.resources.setdefault(f"iterator:{name}", Pass(name))
    return found


@op("IteratorV2", "Iterator", stateful=True, shape=scalar)
def iterator(*, op: Any, state: Any, shared_name: str) -> Pass:
    """An iterator without a dataset yet."""
    return _kept(state, shared_name or op.name)


@op("OneShotIterator", stateful=True, shape=scalar)
def one_shot_iterator(*, op: Any, state: Any, dataset_factory: Any) -> Pass:
    """An iterator over one dataset, once."""
    kept = _kept(state, op.name)
    if not kept.is_begun:
        (make,) = dataset_factory.bound(state)()
        kept.begin(make, dataset_factory.fuses)
    return kept


@op("MakeIterator", stateful=True)
def make_iterator(make: Any, iterator: Pass) -> None:
    """Start an iterator at the beginning of a dataset."""
    iterator.begin(make)


@op("IteratorGetNext", "IteratorGetNextSync", stateful=True,
    shape=lambda node: list(map(TensorShape, node.attrs["output_shapes"])))  # fmt: skip
def get_next(iterator: Pass, *, op: Any) -> Any:
    """The next element."""
    element = iterator.next(op)
    return element[0] if len(op.outputs) == 1 else tuple(element)


@op("IteratorToStringHandle", stateful=True, shape=scalar)
def to_string_handle(iterator: Pass) -> Any:
    """A string by which an iterator is found."""
    found = np.empty((), object)
    found[()] = iterator.name.encode()
    return found


@op("IteratorFromStringHandleV2", "IteratorFromStringHandle", stateful=True, shape=scalar,
    host=("string_handle",))  # fmt: skip
def from_string_handle(handle: Any, *, op: Any, state: Any) -> Pass:
    """The iterator of a string."""
    name = handle.decode() if isinstance(handle, bytes) else str(handle)
    if f"iterator:{name}" not in state.resources:
        raise errors.NotFoundError(None, op, f"Resource {name} does not exist.")
    return _kept(state, name)
