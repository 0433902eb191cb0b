"""Summaries of layers: accepted, and nothing is written."""

from typing import Any


def summarize_tensor(tensor: Any, tag: Any = None) -> Any:
    """Nothing: there is no summary writer behind it."""
    return tensor


def summarize_activation(op: Any) -> Any:
    """Nothing."""
    return op


def summarize_tensors(tensors: Any, summarizer: Any = summarize_tensor) -> list[Any]:
    """Nothing, for each."""
    return [summarizer(t) for t in tensors]


def summarize_collection(
    collection: str, name_filter: Any = None, summarizer: Any = summarize_tensor
) -> list[Any]:
    """Nothing, for each of a collection."""
    from evenkeel.tf1.stacks import get_default_graph

    return [summarizer(t) for t in get_default_graph().get_collection(collection, name_filter)]


def summarize_activations(name_filter: Any = None, summarizer: Any = summarize_activation) -> Any:
    """Nothing, for each activation."""
    from evenkeel.tf1.keys import GraphKeys

    return summarize_collection(GraphKeys.ACTIVATIONS, name_filter, summarizer)
