"""Fetches: tensors, operations and names in lists, tuples, dicts and named tuples."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from evenkeel.tf1.nodes import IndexedSlices, Operation, Tensor

if TYPE_CHECKING:
    from evenkeel.tf1.graph import Graph

Build = Callable[[list[Any]], Any]


def key_of(fetches: Any) -> Any:
    """What two calls that fetch the same have in common; TypeError for what cannot be hashed."""
    kind = type(fetches)
    if kind is Tensor or kind is Operation or kind is str:
        return fetches
    if isinstance(fetches, list | tuple):
        return (kind, *map(key_of, fetches))
    if isinstance(fetches, dict):
        return (kind, *((k, key_of(v)) for k, v in fetches.items()))
    return (kind, id(fetches)) if fetches.__hash__ is None else fetches


class Fetches:
    """The elements to compute, each once, and how a result is built of their values."""

    def __init__(self, graph: "Graph", fetches: Any) -> None:
        self.graph = graph
        self.elements: list[Any] = []
        self._at: dict[Any, int] = {}
        self.build: Build = self._visit(fetches)

    def _visit(self, fetch: Any) -> Build:
        if fetch is None:
            raise TypeError(f"Fetch argument {fetch!r} has invalid type {type(fetch)!r}")
        if isinstance(fetch, list | tuple):
            return self._sequence(fetch)
        if isinstance(fetch, dict):
            return self._mapping(fetch)
        if isinstance(fetch, IndexedSlices):
            return self._slices(fetch)
        index = self._element(fetch)
        return lambda values: values[index]

    def _sequence(self, fetch: Any) -> Build:
        parts = [self._visit(f) for f in fetch]
        if hasattr(fetch, "_fields"):
            kind = type(fetch)
            return lambda values: kind(*[part(values) for part in parts])
        if isinstance(fetch, tuple):
            return lambda values: tuple([part(values) for part in parts])
        return lambda values: [part(values) for part in parts]

    def _mapping(self, fetch: Any) -> Build:
        kind = type(fetch)
        parts = [(k, self._visit(v)) for k, v in fetch.items()]
        return lambda values: kind((k, part(values)) for k, part in parts)

    def _slices(self, fetch: IndexedSlices) -> Build:
        parts = [fetch.values, fetch.indices]
        parts += [] if fetch.dense_shape is None else [fetch.dense_shape]
        at = [self._element(p) for p in parts]
        return lambda values: IndexedSlicesValue(*[values[i] for i in at])

    def _element(self, fetch: Any) -> int:
        try:
            found = self.graph.as_graph_element(fetch)
        except TypeError:
            raise TypeError(
                f"Fetch argument {fetch!r} has invalid type {type(fetch)!r}, must be a string or "
                f"Tensor. (Can not convert a {type(fetch).__name__} into a Tensor or Operation.)"
            ) from None
        except (ValueError, KeyError) as error:
            words = error.args[0] if error.args else error
            raise ValueError(
                f"Fetch argument {fetch!r} cannot be interpreted as a Tensor. ({words})"
            ) from None
        if not self.graph.is_fetchable(found):
            raise ValueError(
                f"Operation {_operation(found).name!r} has been marked as not fetchable."
            )
        if found not in self._at:
            self._at[found] = len(self.elements)
            self.elements.append(found)
        return self._at[found]


def _operation(found: Any) -> Operation:
    return found if isinstance(found, Operation) else found.op


class IndexedSlicesValue:
    """The fetched value of IndexedSlices."""

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None) -> None:
        self.values, self.indices, self.dense_shape = values, indices, dense_shape
