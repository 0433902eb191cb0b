"""The graph of a program that is run until it first uses a session, and no further.

A program of TensorFlow 1 builds its graph, then runs it. Sessions announce each new kind of run
before anything is computed: at the first one whose graph has what is asked for, the program is left.
"""

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from evenkeel.errors import BadOption
from evenkeel.tf1 import session
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.program.launch import run_program
from evenkeel.tf1.stacks import fresh, get_default_graph


class _Built(BaseException):
    """The graph is there. Not an Exception, so that no handler of the program's stops it."""

    def __init__(self, graph: Graph, names: dict[str, Tensor]) -> None:
        super().__init__()
        self.graph, self.names = graph, names


def graph_of_program(
    path: str | Path, arguments: Sequence[str], wanted: str | None
) -> tuple[Graph, dict[str, Tensor]]:
    """(the graph that a program builds, its Python variables that hold tensors).

    What comes before the first use of a session happens as ever: data are loaded, text is printed
    (to standard error). Runs in a graph without ``wanted`` are let through.

    Raises:  BadOption where the program fails or ends before it has such a graph
    """
    observe = _stopping(wanted)
    session.observers.append(observe)
    status: Any = 0
    with fresh():
        try:
            with contextlib.redirect_stdout(sys.stderr):
                status = run_program(path, arguments)
        except _Built as built:
            return built.graph, built.names
        except SystemExit as stop:
            status = stop.code
        finally:
            session.observers.remove(observe)
        graph = get_default_graph()
    if not status and graph.operations and (wanted is None or _has(graph, {}, wanted)):
        return graph, {}
    raise BadOption(
        "the program ended before it used a session on the graph that is asked for",
        got=f"{path}, exit status {status or 0}, output {wanted}",
        do="check the name of the output, and that the program runs (evenkeel run)",
    )


def _stopping(wanted: str | None) -> Callable[[Graph, frozenset[Operation]], None]:
    def observe(graph: Graph, executed: frozenset[Operation]) -> None:
        names = _names(graph, sys._getframe(1))
        if wanted is None or _has(graph, names, wanted):
            raise _Built(graph, names)

    return observe


def _has(graph: Graph, names: dict[str, Tensor], wanted: str) -> bool:
    return wanted in names or wanted.partition(":")[0] in graph.operations


def _names(graph: Graph, frame: FrameType | None) -> dict[str, Tensor]:
    """Variables of Python that hold a tensor of the graph; those of inner functions win."""
    found: dict[str, Tensor] = {}
    package = str(Path(session.__file__).parent)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(package):
            for name, value in {**frame.f_globals, **frame.f_locals}.items():
                if isinstance(value, Tensor) and value.graph is graph:
                    found.setdefault(name, value)
        frame = frame.f_back
    return found
