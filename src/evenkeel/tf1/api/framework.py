"""Graphs, scopes, sessions, types: the words of ``tf`` that build no node."""

from typing import Any

from evenkeel.tf1 import errors, stacks
from evenkeel.tf1.build import name_scope
from evenkeel.tf1.dtypes import DType, as_dtype
from evenkeel.tf1.fold import constant_value
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.nodes import IndexedSlices, Operation, Tensor
from evenkeel.tf1.random.seeds import op_seeds
from evenkeel.tf1.session import InteractiveSession, Session
from evenkeel.tf1.shapes import Dimension, TensorShape
from evenkeel.tf1.stacks import get_default_graph, reset_default_graph

__all__ = [
    "DType", "Dimension", "Graph", "IndexedSlices", "InteractiveSession", "OpError", "Operation",
    "Session", "Tensor", "TensorShape", "add_to_collection", "add_to_collections", "as_dtype",
    "colocate_with", "container", "control_dependencies", "device", "disable_eager_execution",
    "disable_v2_behavior", "executing_eagerly", "get_collection", "get_collection_ref",
    "get_default_graph", "get_default_session", "get_seed", "get_static_value", "is_tensor",
    "name_scope", "newaxis", "op_scope", "reset_default_graph", "set_random_seed",
]  # fmt: skip

newaxis = None
OpError = errors.OpError
get_default_session = stacks.default_session
get_static_value = constant_value


def control_dependencies(control_inputs: Any) -> Any:
    """Nodes made inside wait for these."""
    return get_default_graph().control_dependencies(control_inputs)


def device(device_name_or_function: Any) -> Any:
    """Nodes made inside ask for this device."""
    return get_default_graph().device(device_name_or_function)


def container(name: str) -> Any:
    """Accepted: there is one container."""
    return get_default_graph().device("")


def colocate_with(op: Any, ignore_existing: bool = False) -> Any:
    """Nodes made inside belong to the group of ``op``."""
    return get_default_graph().colocate_with(op, ignore_existing)


def op_scope(values: Any, name: Any, default_name: Any = None) -> Any:
    """A name scope, in its older order of arguments."""
    return name_scope(name, default_name, values)


def add_to_collection(name: Any, value: Any) -> None:
    """Append a value to a collection of the default graph."""
    get_default_graph().add_to_collection(name, value)


def add_to_collections(names: Any, value: Any) -> None:
    """Append a value to collections of the default graph."""
    get_default_graph().add_to_collections(names, value)


def get_collection(key: Any, scope: Any = None) -> list[Any]:
    """A copy of a collection of the default graph."""
    return get_default_graph().get_collection(key, scope)


def get_collection_ref(key: Any) -> list[Any]:
    """A collection of the default graph itself."""
    return get_default_graph().get_collection_ref(key)


def set_random_seed(seed: int) -> None:
    """The seed of the default graph."""
    get_default_graph().seed = seed


def get_seed(op_seed: int | None) -> tuple[int | None, int | None]:
    """The two seeds of a random node made now: of the graph, and of the node.

    A node without its own takes the number of nodes so far.
    """
    graph = get_default_graph()
    return op_seeds(graph.seed, op_seed, graph._last_id)


def is_tensor(x: Any) -> bool:
    """Whether this is a tensor or a variable."""
    return isinstance(x, Tensor | IndexedSlices) or hasattr(x, "_dense_var_to_tensor")


def executing_eagerly() -> bool:
    """Never: programs build graphs."""
    return False


def disable_eager_execution() -> None:
    """Nothing: it never was."""


disable_v2_behavior = disable_eager_execution
