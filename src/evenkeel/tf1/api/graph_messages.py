"""Graphs as messages: GraphDef and its kin, import of graphs; loaded when they are asked for."""

import importlib
from typing import Any

_MESSAGES = (
    "AttrValue", "Event", "GraphDef", "HistogramProto", "MetaGraphDef", "NameAttrList", "NodeDef",
    "SessionLog", "Summary", "SummaryMetadata", "TensorInfo",
)  # fmt: skip
_FUNCTIONS = ("import_graph_def", "make_ndarray", "make_tensor_proto")
__all__ = [*_MESSAGES, *_FUNCTIONS]


def __getattr__(name: str) -> Any:
    if name in _MESSAGES:
        return getattr(importlib.import_module("evenkeel.tf1.proto"), name)
    if name in _FUNCTIONS:
        return getattr(importlib.import_module("evenkeel.tf1.graph_io"), name)
    raise AttributeError(name)
