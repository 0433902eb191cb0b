"""Collections of a graph as CollectionDefs and back."""

import importlib
from collections.abc import Callable
from typing import Any

from evenkeel.tf1 import logging, proto
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.graph_io.branches import (
    cond_of_proto,
    context_to_proto,
    inner_contexts,
    while_of_proto,
)
from evenkeel.tf1.graph_io.files import parsed
from evenkeel.tf1.graph_io.scopes import element, without
from evenkeel.tf1.graph_io.variable_defs import variable_to_proto
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.proto import CollectionDef

VARIABLES = (
    GraphKeys.GLOBAL_VARIABLES, GraphKeys.TRAINABLE_VARIABLES, GraphKeys.MOVING_AVERAGE_VARIABLES,
    GraphKeys.LOCAL_VARIABLES, GraphKeys.MODEL_VARIABLES, GraphKeys.GLOBAL_STEP,
    GraphKeys.METRIC_VARIABLES,
)  # fmt: skip
# Kept by classes of their own, which have to_proto and from_proto.
_OBJECTS = {
    GraphKeys.SAVERS: (proto.SaverDef, "evenkeel.tf1.train.saver", "Saver"),
    GraphKeys.QUEUE_RUNNERS: (
        proto.QueueRunnerDef,
        "evenkeel.tf1.train.queue_runner",
        "QueueRunner",
    ),
}
_CONTEXTS: dict[str, tuple[Any, Callable[..., Any]]] = {
    GraphKeys.COND_CONTEXT: (proto.CondContextDef, cond_of_proto),
    GraphKeys.WHILE_CONTEXT: (proto.WhileContextDef, while_of_proto),
}

# ---- out


def collection_to_proto(graph: Graph, key: str, items: list[Any], scope: str | None) -> Any:
    """The CollectionDef of a collection; None where its items cannot be written, with a warning."""
    made = CollectionDef()
    try:
        field, values = _written(graph, key, items, scope)
        if not items or not field:
            return None
        getattr(made, field).value.extend(values)
    except (TypeError, ValueError, AttributeError) as error:
        logging.warning(
            "Issue encountered when serializing %s.\nType is unsupported, or the types of the items "
            "don't match field type in CollectionDef. Note this is a warning and probably safe to "
            "ignore.\n%s",
            key,
            error,
        )
        return None
    return made


def _written(graph: Graph, key: str, items: list[Any], scope: str | None) -> tuple[str, list[Any]]:
    """The field of CollectionDef for these items, and what it holds."""
    if key in _CONTEXTS:
        inner = inner_contexts(graph)
        outermost = [c for c in items if c.outer_context is None]
        return _serialized([context_to_proto(c, inner, scope) for c in outermost])
    if key in VARIABLES:
        return _serialized([variable_to_proto(v, scope) for v in items])
    if key in _OBJECTS:
        return _serialized([item.to_proto(scope) for item in items])
    return _plain(items, scope)


def _serialized(messages: list[Any]) -> tuple[str, list[Any]]:
    there = [m.SerializeToString(deterministic=True) for m in messages if m is not None]
    return ("bytes_list" if there else ""), there


def _plain(items: list[Any], scope: str | None) -> tuple[str, list[Any]]:
    first = items[0] if items else None
    if isinstance(first, str | bytes):
        return "bytes_list", [i.encode() if isinstance(i, str) else i for i in items]
    if isinstance(first, bool | int):
        return "int64_list", items
    if isinstance(first, float):
        return "float_list", items
    if isinstance(first, proto.AnyMessage):
        return "any_list", items
    names = [without(item.name, scope) for item in items]
    return "node_list", [name for name in names if name is not None]


# ---- in


class Restored:
    """The collections of a meta graph on their way into a graph."""

    def __init__(self, graph: Graph, scope: str | None) -> None:
        self.graph, self.scope = graph, scope
        self.variables: dict[bytes, Any] = {}  # the same variable in several collections is one

    def add(self, key: str, message: Any) -> None:
        """Put the items of one CollectionDef into the graph's collection."""
        field = message.WhichOneof("kind")
        if field is None:
            logging.error("Cannot identify data type for collection %s. Skipping.", key)
            return
        values = list(getattr(message, field).value)
        if field == "bytes_list":
            items = [self._of_bytes(key, v) for v in values]
        elif field == "node_list":
            place = f"the collection {key!r}"
            items = [element(self.graph, v, self.scope, place) for v in values]
        else:
            items = values
        for item in items:
            if item is not None:
                self.graph.add_to_collection(key, item)

    def _of_bytes(self, key: str, data: bytes) -> Any:
        what = f"an item of the collection {key!r}"
        if key in VARIABLES:
            if data not in self.variables:
                self.variables[data] = self._variable(parsed(data, proto.VariableDef, what))
            return self.variables[data]
        if key in _CONTEXTS:
            kind, restore = _CONTEXTS[key]
            return restore(self.graph, parsed(data, kind, what), self.scope)
        if key in _OBJECTS:
            kind, module, name = _OBJECTS[key]
            found = getattr(importlib.import_module(module), name)
            return found.from_proto(parsed(data, kind, what), import_scope=self.scope)
        return data

    def _variable(self, message: Any) -> Any:
        from evenkeel.tf1.variables import Variable

        return Variable.from_proto(message, self.scope)
