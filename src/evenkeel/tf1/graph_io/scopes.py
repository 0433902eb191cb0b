"""Names under a scope: put there on the way in, taken off on the way out."""

from typing import Any

from evenkeel.tf1.graph import Graph


def under(name: str, scope: str | None) -> str:
    """A name of a graph that is imported under ``scope``."""
    if not scope or not name:
        return name
    if name.startswith("^"):
        return f"^{scope}/{name[1:]}"
    return f"{scope.rstrip('/')}/{name}"


def without(name: str, scope: str | None) -> str | None:
    """A name as the export of ``scope`` writes it; None for one outside of it."""
    if not scope:
        return name
    whole = scope.rstrip("/") + "/"
    return name[len(whole) :] if name.startswith(whole) else None


def element(graph: Graph, name: str, scope: str | None, place: str) -> Any:
    """The tensor or operation that a meta graph names; ValueError says where it names it."""
    try:
        return graph.as_graph_element(under(name, scope))
    except (KeyError, ValueError) as error:
        words = error.args[0] if error.args else error
        raise ValueError(f"{place}: {words}") from None
