"""``tf.Session``: fetches in any nesting, feeds of any tensor, one lowered program a kind of run."""

from collections.abc import Callable
from typing import Any

import torch

from evenkeel.tf1 import errors, stacks
from evenkeel.tf1.api.config import Options
from evenkeel.tf1.feeds import fed_tensors, feeder
from evenkeel.tf1.fetches import Fetches, key_of
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.lower import Program, lower
from evenkeel.tf1.lower.dead import DEAD
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.state import State
from evenkeel.tf1.values import to_numpy

_device: list[str] = ["cpu"]
# Told of each new kind of run: the graph, and the operations that it executes.
observers: list[Callable[[Graph, frozenset[Operation]], None]] = []


def set_device(device: str) -> None:
    """Where sessions made from now on keep and compute values: ``cpu``, ``cuda``, ``cuda:1``."""
    _device[0] = str(torch.device(device))


class _Call:
    """One kind of run: how its feeds are read, what computes it, how its result is built."""

    __slots__ = ("build", "feeders", "program", "results")

    def __init__(
        self, feeders: list[Callable[[Any], Any]], program: Program, fetches: Fetches
    ) -> None:
        self.feeders, self.program = feeders, program
        self.build, self.results = fetches.build, fetches.elements


class BaseSession:
    """What Session and InteractiveSession share.

    Raises: NotFoundError for a ``target``: a session runs in its own process; TypeError for a graph
    or a config that is none
    """

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        if graph is not None and not isinstance(graph, Graph):
            raise TypeError(f"graph must be a tf.Graph, but got {type(graph)}")
        if not isinstance(target, str | bytes):
            raise TypeError(f"target must be a string, but got {type(target)}")
        if target:
            raise errors.NotFoundError(
                None, None, "No session factory registered for the given session options: "
                f"{{target: {target!r}}}: there is one process and no server",
            )  # fmt: skip
        if config is not None and not isinstance(config, Options):
            raise TypeError(f"config must be a tf.ConfigProto, but got {type(config)}")
        self.graph = graph or stacks.get_default_graph()
        self.sess_str, self._config, self._closed = target, config, False
        self.state = State(_device[0])
        self._calls: dict[Any, _Call] = {}
        self._version = -1
        self.executed: set[Operation] = set()  # every operation that some run executed

    def run(
        self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None
    ) -> Any:
        """The values of ``fetches``, in the same nesting; operations give None."""
        feeds = feed_dict or {}
        if self._version != self.graph.version:
            self._calls.clear()
            self._version = self.graph.version
        try:
            call = self._calls.get((key_of(fetches), tuple(feeds)))
        except TypeError:
            call = None  # something that cannot be hashed: planned afresh, or refused below
        if call is None or self._closed:
            call = self._plan(fetches, feeds)
            feeds = dict(fed_tensors(self.graph, feeds))
        values = [feed(v) for feed, v in zip(call.feeders, feeds.values(), strict=True)]
        results = call.program(*values)
        return call.build([_fetched(r, e) for r, e in zip(results, call.results, strict=True)])

    def _plan(self, fetches: Any, feeds: Any) -> _Call:
        if self._closed:
            raise RuntimeError("Attempted to use a closed Session.")
        if self.graph.version == 0:
            raise RuntimeError(
                "The Session graph is empty.  Add operations to the graph before calling run()."
            )
        handler = Fetches(self.graph, fetches)
        tensors = [t for t, _ in fed_tensors(self.graph, feeds)]
        program = lower(self.graph, handler.elements, tensors, self.state)
        self.executed |= program.executed
        for observe in observers:
            observe(self.graph, program.executed)
        call = _Call([feeder(t, self.state.device) for t in tensors], program, handler)
        plain = not any(isinstance(k, list | tuple | dict) or hasattr(k, "values") for k in feeds)
        if plain and len(tensors) == len(feeds):
            self._calls[key_of(fetches), tuple(feeds)] = call
        return call

    @property
    def graph_def(self) -> Any:
        """The graph as a GraphDef."""
        return self.graph.as_graph_def()

    def make_callable(self, fetches: Any, feed_list: Any = None, **_: Any) -> Callable[..., Any]:
        """A function of the fed values."""
        names = list(feed_list or [])
        return lambda *values: self.run(fetches, dict(zip(names, values, strict=True)))

    def as_default(self) -> Any:
        """This session is the default inside; it stays open after."""
        return stacks.session_as_default(self)

    def list_devices(self) -> list[Any]:
        """The devices: one."""
        return [self.state.device]

    def close(self) -> None:
        """Free the variables; nothing can be run any more."""
        self._closed = True
        self._calls.clear()
        self.state = State(self.state.device)


def _fetched(value: Any, element: Any) -> Any:
    if value is DEAD:
        raise errors.InvalidArgumentError(None, None, "Retval[0] does not have value")
    return to_numpy(value) if isinstance(element, Tensor) else None


class Session(BaseSession):
    """A session that, entered, is the default together with its graph.

    >>> from evenkeel.tf1.build import apply, constant
    >>> graph = Graph()
    >>> with graph.as_default():
    ...     total = apply("Add", constant([1.0, 2.0]), constant(3.0))
    >>> Session(graph=graph).run({"total": total})
    {'total': array([4., 5.], dtype=float32)}
    """

    def __enter__(self) -> "Session":
        stacks.push_graph(self.graph)
        stacks.push_session(self)
        return self

    def __exit__(self, *_: object) -> None:
        stacks.pop_session(self)
        stacks.pop_graph(self.graph)
        self.close()

    @staticmethod
    def reset(target: str, containers: Any = None, config: Any = None) -> None:
        """Nothing: there are no servers to reset."""


class InteractiveSession(BaseSession):
    """A session that is the default as soon as it is made, until it is closed."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        super().__init__(target, graph, config)
        self._explicit = graph
        stacks.push_session(self)
        if graph is not None:
            stacks.push_graph(graph)

    def close(self) -> None:
        """Free the variables, and be the default no more."""
        super().close()
        stacks.pop_session(self)
        if self._explicit is not None:
            stacks.pop_graph(self._explicit)
