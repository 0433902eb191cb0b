"""The default graph and the default session: one stack of each, per thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenkeel.tf1.graph import Graph


class _Stacks(threading.local):
    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self.sessions: list[Any] = []


_stacks = _Stacks()
_global: list["Graph"] = []  # the graph of programs that never make one; shared by all threads


def get_default_graph() -> "Graph":
    """The innermost graph entered with ``as_default``, or the program's global graph."""
    from evenkeel.tf1.graph import Graph

    if _stacks.graphs:
        return _stacks.graphs[-1]
    if not _global:
        _global.append(Graph())
    return _global[0]


def reset_default_graph() -> None:
    """A new global graph; refused inside ``with graph.as_default()``."""
    if _stacks.graphs:
        raise AssertionError(
            "Do not use tf.reset_default_graph() to clear nested graphs. If you need a cleared "
            "graph, exit the nesting and create a new graph."
        )
    _global.clear()


@contextmanager
def fresh() -> Iterator[None]:
    """Inside, no graph and no session has been made yet; what there was comes back."""
    before = _stacks.graphs, _stacks.sessions, list(_global)
    _stacks.graphs, _stacks.sessions, _global[:] = [], [], []
    try:
        yield
    finally:
        _stacks.graphs, _stacks.sessions, _global[:] = before


def default_session() -> Any:
    """The innermost session entered, or None."""
    return _stacks.sessions[-1] if _stacks.sessions else None


@contextmanager
def graph_as_default(graph: "Graph") -> Iterator["Graph"]:
    """``graph`` is the default graph inside."""
    _stacks.graphs.append(graph)
    try:
        yield graph
    finally:
        _take_out(_stacks.graphs, graph)


@contextmanager
def session_as_default(session: Any) -> Iterator[Any]:
    """``session`` is the default session inside."""
    push_session(session)
    try:
        yield session
    finally:
        pop_session(session)


def push_session(session: Any) -> None:
    """Make ``session`` the default until it is taken out."""
    _stacks.sessions.append(session)


def pop_session(session: Any) -> None:
    """Take the innermost entry of ``session`` out, wherever it stands."""
    _take_out(_stacks.sessions, session)


def push_graph(graph: "Graph") -> None:
    """Make ``graph`` the default until it is taken out."""
    _stacks.graphs.append(graph)


def pop_graph(graph: "Graph") -> None:
    """Take the innermost entry of ``graph`` out, wherever it stands."""
    _take_out(_stacks.graphs, graph)


def _take_out(stack: list[Any], entry: Any) -> None:
    for index in range(len(stack) - 1, -1, -1):
        if stack[index] is entry:
            del stack[index]
            return
