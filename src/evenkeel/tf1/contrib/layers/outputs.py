"""Collections of variables and of named outputs."""

from typing import Any
from weakref import WeakKeyDictionary

from evenkeel.tf1.stacks import get_default_graph

_ALIASES: WeakKeyDictionary[Any, list[str]] = WeakKeyDictionary()


def variable_collections(given: Any, name: str) -> Any:
    """The collections of one variable, where they may be named for each."""
    return given.get(name) if isinstance(given, dict) else given


def collect_variable(variable: Any, given: Any, name: str) -> None:
    """Put a variable in the collections asked for."""
    for key in variable_collections(given, name) or []:
        kept = get_default_graph().get_collection_ref(key)
        if variable not in kept:
            kept.append(variable)


def collect_named_outputs(collections: Any, alias: str, outputs: Any) -> Any:
    """Put an output in the collections asked for, and note under which name."""
    if collections:
        names = _ALIASES.setdefault(outputs, [])
        names.append(alias.rstrip("/"))
        get_default_graph().add_to_collections(collections, outputs)
    return outputs


def append_tensor_alias(tensor: Any, alias: str) -> Any:
    """Note another name of a tensor."""
    _ALIASES.setdefault(tensor, []).append(alias)
    return tensor


def get_tensor_aliases(tensor: Any) -> list[str]:
    """The names noted of a tensor, or its own."""
    return _ALIASES.get(tensor, [tensor.op.name])


def convert_collection_to_dict(collection: str, clear_collection: bool = False) -> dict[str, Any]:
    """The outputs of a collection by their names."""
    graph = get_default_graph()
    found = {a: t for t in graph.get_collection(collection) for a in get_tensor_aliases(t)}
    if clear_collection:
        graph.clear_collection(collection)
    return found
