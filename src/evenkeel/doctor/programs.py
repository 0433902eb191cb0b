"""A TensorFlow 1 program under observation: what its sessions ran, which values they were fed.

The program runs as under `evenkeel run`. Facts of a kind of run are those of its first: a flag that is
fed True at first and False later, to the same fetches and feeds, counts as True.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evenkeel.doctor.finding import NOTE
from evenkeel.doctor.graphs import Facts, gathered_at, program_line
from evenkeel.doctor.ignoring import ignored_on
from evenkeel.doctor.report import judge
from evenkeel.doctor.trace import Gathered, Program, Trace
from evenkeel.errors import BadRun
from evenkeel.tf1 import graph as graphs
from evenkeel.tf1 import session
from evenkeel.tf1.feeds import fed_tensors
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.origin import origin
from evenkeel.tf1.program.launch import run_program

_APPLY = ("Apply", "ResourceApply", "SparseApply", "ResourceSparseApply")
_CHANGE = ("AssignSub", "AssignAdd", "AssignSubVariableOp", "AssignAddVariableOp")


@dataclass(frozen=True, slots=True, eq=False)
class Ran:
    """A kind of run: what it executed, the truth values that it was fed, whether it trained."""

    executed: frozenset[Operation]
    flags: dict[str, bool]
    trains: bool


@dataclass(slots=True)
class Seen:
    """What was run in one graph, and when UPDATE_OPS was asked for."""

    runs: list[Ran] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)


class ProgramWatch:
    """The graphs that sessions ran in, inside of ``watched``."""

    def __init__(self, path: str = "") -> None:
        self.path = path
        self.seen: dict[Graph, Seen] = {}
        self._feeds: dict[str, bool] = {}

    def of(self, graph: Graph) -> Seen:
        """What was seen of a graph."""
        return self.seen.setdefault(graph, Seen())

    def note(self, graph: Graph, executed: frozenset[Operation]) -> None:
        """A new kind of run."""
        variables = graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)
        names = {variable.op.name for variable in variables}
        trains = any(_trains(op, names) for op in executed)
        self.of(graph).runs.append(Ran(executed, dict(self._feeds), trains))

    def feeding(self, graph: Graph, feeds: Any, variables: dict[str, Any]) -> None:
        """The truth values among what is about to be fed, and among the variables."""
        self._feeds = {n: bool(v) for n, v in variables.items() if _is_flag(v)}
        with contextlib.suppress(Exception):  # the session itself says what is wrong with a feed
            pairs = fed_tensors(graph, feeds)
            self._feeds |= {t.op.name: bool(v) for t, v in pairs if _is_flag(v)}

    def trace(self) -> Trace:
        """Everything that was seen, joined over the graphs."""
        found = [Facts(graph, seen.runs).program() for graph, seen in self.seen.items()]
        gathered = [g for graph, seen in self.seen.items() for g in _early(graph, seen)]
        program = Program(
            path=self.path,
            trained=sum(p.trained for p in found),
            updates=tuple(u for p in found for u in p.updates),
            norms=tuple(n for p in found for n in p.norms),
            gathered=tuple(gathered),
            bare=tuple(b for p in found for b in p.bare),
            savers=tuple(s for p in found for s in p.savers),
        )
        program = replace(program, ignored=ignored_on(_lines(program)))
        return Trace(kind="program", subject=Path(self.path).name, program=program)


@contextmanager
def watched(path: str | Path = "") -> Iterator[ProgramWatch]:
    """Inside, sessions tell what they run, and graphs when they are asked for UPDATE_OPS."""
    watch = ProgramWatch(str(path))
    plan, collection = session.BaseSession._plan, Graph.get_collection

    def planned(self: Any, fetches: Any, feeds: Any) -> Any:
        watch.feeding(self.graph, feeds, self.state.variables)
        return plan(self, fetches, feeds)

    def collected(self: Graph, name: Any, scope: Any = None) -> Any:
        found = collection(self, name, scope)
        if name == GraphKeys.UPDATE_OPS and (line := gathered_at()):
            watch.of(self).asked.append((line, len(found)))
        return found

    def line() -> str:
        return program_line(origin)

    session.observers.append(watch.note)
    graphs.origin = line  # type: ignore[attr-defined]  # lent, put back below
    session.BaseSession._plan = planned  # type: ignore[method-assign]  # lent, put back below
    Graph.get_collection = collected  # type: ignore[method-assign]  # lent, put back below
    try:
        yield watch
    finally:
        graphs.origin = origin  # type: ignore[attr-defined]
        Graph.get_collection = collection  # type: ignore[method-assign]
        session.BaseSession._plan = plan  # type: ignore[method-assign]
        session.observers.remove(watch.note)


def observe_program(path: str | Path, arguments: Sequence[str] = ()) -> Trace:
    """Run a program, its output on standard error, and trace what it built and ran.

    Raises:  BadRun when the program fails
    """
    status: object = 0
    with watched(path) as watch, contextlib.redirect_stdout(sys.stderr):
        try:
            status = run_program(path, arguments)
        except SystemExit as stop:
            status = stop.code
    if status not in (0, None):
        raise BadRun(
            "the program ended with an error",
            got=f"{path}: status {status}",
            do="see what it printed",
        )
    return watch.trace()


def run_and_warn(path: str | Path, arguments: Sequence[str] = (), *, device: str = "cpu") -> int:
    """Run a program as `evenkeel run` does; at its end warnings and errors on standard error.

    None after an exception of the program's own, which has said enough. SystemExit comes through.
    """
    with watched(path) as watch:
        try:
            status = run_program(path, arguments, device=device)
        except SystemExit:
            _warn(watch)
            raise
        if not status:
            _warn(watch)
    return status


def _warn(watch: ProgramWatch) -> None:
    sys.stdout.flush()
    report = judge(watch.trace())
    sys.stderr.write("".join(found.told() for found in report.findings if found.severity > NOTE))


def _early(graph: Graph, seen: Seen) -> Iterator[Gathered]:
    later = len(graph.get_collection(GraphKeys.UPDATE_OPS))
    for line, held in dict(seen.asked).items():
        if held < later:
            yield Gathered(line, held, later)


def _lines(program: Program) -> Iterator[str]:
    """Every place that a finding may name."""
    for rows in (program.updates, program.norms, program.gathered, program.bare, program.savers):
        yield from (row.line for row in rows)
    yield from (norm.lost for norm in program.norms)


def _is_flag(value: Any) -> bool:
    if isinstance(value, np.ndarray | torch.Tensor):
        return value.dtype in (bool, torch.bool) and value.ndim == 0
    return isinstance(value, bool | np.bool_)


def _trains(op: Operation, trainable: set[str]) -> bool:
    if op.type.startswith(_APPLY):
        return True
    return op.type in _CHANGE and op.inputs[0].op.name in trainable
