"""What a graph and its runs say of the batch normalizations in it."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenkeel.doctor.handmade import (
    ASSIGNS,
    VARIABLES,
    Handmade,
    decider,
    handmade,
    initializes,
    target,
)
from evenkeel.doctor.trace import Bare, Norm, Program, Saved, Update
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.program.libraries import is_program

if TYPE_CHECKING:
    from evenkeel.doctor.programs import Ran

_PACKAGE = str(Path(__file__).parents[1])
_MEAN = re.compile(r"(.*?)/?(moving_mean|pop_mean|population_mean|running_mean)(_\d+)?$")
_LINEAR = (
    "MatMul",
    "Conv2D",
    "Conv3D",
    "DepthwiseConv2dNative",
    "Conv2DBackpropInput",
    "BatchMatMul",
)


class Facts:
    """One graph: its normalizations, its updates, and what the runs did with them."""

    def __init__(self, graph: Graph, runs: "list[Ran]") -> None:
        self._graph, self._runs = graph, runs
        self._ops = list(graph.operations.values())
        self._training = [run for run in runs if run.trains]
        self._other = [run for run in runs if not run.trains]
        self._means = {op.name: m[1] for op in self._ops if (m := _mean(op))}
        self._averages = dict(self._statistics())
        layers = [name for name, prefix in self._averages.items() if prefix]
        self._made = handmade(self._ops, layers)
        for one in self._made:
            for op in one.moving:
                self._means.pop(op.name, None)
                self._averages[op.name] = _scope(one)

    def program(self) -> Program:
        """All facts."""
        norms = tuple(self._norm(name, prefix) for name, prefix in self._means.items())
        norms += tuple(norm for one in self._made if (norm := self._own(one)))
        return Program(
            path="",
            trained=len(self._training),
            updates=tuple(self._updates()),
            norms=norms,
            bare=tuple(self._bare()),
            savers=tuple(self._savers()),
        )

    def _statistics(self) -> Iterator[tuple[str, str]]:
        """Variables that are moving averages, by name, with their layer."""
        for op in self._ops:
            prefix = op.name.rpartition("/")[0]
            own = op.type in VARIABLES and prefix in self._means.values()
            if own and re.search(r"(mean|var|variance)(_\d+)?$", op.name):
                yield op.name, prefix

    def _updates(self) -> Iterator[Update]:
        held = [getattr(u, "op", u) for u in self._graph.get_collection(GraphKeys.UPDATE_OPS)]
        for op in dict.fromkeys(op for op in held if isinstance(op, Operation)):
            yield Update(
                op.name,
                op.origin,
                sum(op in run.executed for run in self._training),
                sum(op in run.executed for run in self._other),
            )

    def _norm(self, mean: str, prefix: str) -> Norm:
        own = [op for op in self._ops if prefix and op.name.startswith(f"{prefix}/")]
        own = own or [op for op in self._ops if op.name == mean]
        flag = _flag(own)
        moving = tuple(name for name, layer in self._averages.items() if layer == prefix)
        return Norm(
            name=prefix or mean,
            line=_in_program(self._graph.operations[mean].origin),
            mode=_mode(own, flag),
            trained_with=self._modes(self._training, own, flag),
            evaluated_with=self._modes(self._other, own, flag),
            moving=moving,
            at_initial=not self._assigned(moving, flag),
        )

    def _own(self, one: Handmade) -> Norm | None:
        """A normalization that the program makes itself; None for one of the batch by design."""
        flag = one.flags[0] if one.flags else None
        moving = tuple(sorted(op.name for op in one.moving))
        trained = self._modes(self._training, one.roots, flag)
        if not one.of_batch or not (moving or self._shown(one)):
            return None
        mode = "fixed training" if not one.of_moving else "fed" if flag is None else _mode([], flag)
        idle = not self._assigned(moving, flag)
        told = mode == "variable" or (mode == "fed" and trained == ("inference",))  # EK606, EK604
        line = _in_program(one.roots[0].origin)
        return Norm(
            name=_scope(one),
            line=line,
            mode=mode,
            trained_with=trained,
            evaluated_with=self._modes(self._other, one.roots, flag),
            moving=moving,
            at_initial=idle,
            lost=(self._mover(one) or line or _scope(one)) if moving and idle and not told else "",
        )

    def _shown(self, one: Handmade) -> bool:
        """Whether a run without a train step normalizes so."""
        return any(set(one.roots) & run.executed for run in self._other)

    def _mover(self, one: Handmade) -> str:
        """The line of the first operation that would move the averages."""
        assigns = (op for op in self._ops if op.type in ASSIGNS and not initializes(op))
        return next((_in_program(op.origin) for op in assigns if target(op) in one.moving), "")

    def _modes(
        self, runs: "list[Ran]", own: list[Operation], flag: Operation | None
    ) -> tuple[str, ...]:
        """In which modes these runs executed a normalization."""
        heart = {op for op in own if op.type == "Rsqrt" or _is_fused(op)}
        found = set()
        for run in runs:
            # A run that moves the averages beside the train step is part of training.
            if heart & run.executed and not (not run.trains and self._moves(run)):
                known = _known(run, flag) if flag is not None else None
                found.add({None: "", True: "training", False: "inference"}[known])
        return tuple(sorted(found - {""}))

    def _moves(self, run: "Ran") -> bool:
        held = {getattr(u, "op", u) for u in self._graph.get_collection(GraphKeys.UPDATE_OPS)}
        return bool(held & run.executed)

    def _assigned(self, moving: tuple[str, ...], flag: Operation | None) -> bool:
        """Whether a run gave moving averages a value other than the initial one."""
        for run in self._runs:
            if flag is not None and _known(run, flag) is False:
                continue  # the branch that would move them is not taken
            for op in run.executed:
                if op.type in ASSIGNS and target(op).name in moving and not initializes(op):
                    return True
        return False

    def _bare(self) -> Iterator[Bare]:
        """Weights whose product is normalized in training, and in no other run with them."""
        told: set[str] = set()
        for norm in self._hearts():
            for linear in _linear_before(norm):
                weights = _variable(linear)
                if weights is None or weights.name in told:
                    continue
                twins = [
                    t
                    for t in self._ops
                    if t.type in _LINEAR and t is not linear and _variable(t) is weights
                ]
                for twin in twins:
                    if self._runs_bare(twin, norm) and not self._reaches_norm(twin):
                        told.add(weights.name)
                        prefix = (
                            norm.name.partition("/batchnorm")[0].rpartition("/FusedBatch")[0]
                            or norm.name.partition("/batchnorm")[0]
                        )
                        yield Bare(weights.name, prefix, twin.origin)
                        break

    def _runs_bare(self, twin: Operation, norm: Operation) -> bool:
        trained = any(norm in run.executed for run in self._training)
        return trained and any(
            twin in run.executed and norm not in run.executed for run in self._other
        )

    def _reaches_norm(self, start: Operation) -> bool:
        """Whether a normalization follows before the next linear operation."""
        waiting, seen = [start], {start}
        while waiting:
            for op in waiting.pop()._consumed:
                if _is_fused(op) or "batchnorm" in op.name:
                    return True
                if op not in seen and op.type not in _LINEAR:
                    seen.add(op)
                    waiting.append(op)
        return False

    def _hearts(self) -> list[Operation]:
        """The operations that normalize: fused ones, or the product with the root."""
        return [op for op in self._ops if _is_fused(op)] + [
            op for op in self._ops if op.type == "Mul" and re.search(r"batchnorm/mul_1$", op.name)
        ]

    def _savers(self) -> Iterator[Saved]:
        executed = {op for run in self._runs for op in run.executed}
        for op in self._ops:
            if op.type != "SaveV2" or op not in executed or not self._averages:
                continue
            names = op.inputs[1].op.attrs.get("value")
            saved = {n.decode() if isinstance(n, bytes) else str(n) for n in _flat(names)}
            missing = tuple(name for name in self._averages if name not in saved)
            if missing and len(missing) == len(self._averages):
                yield Saved(op.origin, missing)


def gathered_at() -> str:
    """The program's line that asks, where it is the program and not the dialect that does."""
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]  # None ends the walk
    return ""


def program_line(otherwise: Callable[[], str]) -> str:
    """The program's innermost line at work, also where a library builds for it."""
    frame = sys._getframe(2)
    while frame is not None:
        if is_program(frame.f_code.co_filename):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]  # None ends the walk
    return otherwise()


def _in_program(line: str) -> str:
    """A line of the program; "" for one of a library."""
    return line if is_program(line.rpartition(":")[0]) else ""


def _mean(op: Operation) -> "re.Match[str] | None":
    return _MEAN.match(op.name) if op.type in VARIABLES else None


def _flag(own: list[Operation]) -> Operation | None:
    """What decides between batch and averages: behind the first condition."""
    for op in own:
        if op.type in ("Switch", "RefSwitch", "If", "StatelessIf"):
            return decider(op.inputs[1 if op.type.endswith("Switch") else 0].op)
    return None


def _mode(own: list[Operation], flag: Operation | None) -> str:
    if flag is not None and flag.type == "Const":
        return "fixed training" if bool(flag.attrs.get("value")) else "fixed inference"
    if flag is not None:
        return "fed" if flag.type.startswith("Placeholder") else "variable"
    fused = [op for op in own if _is_fused(op)]
    if fused:
        return (
            "fixed training"
            if any(op.attrs.get("is_training") for op in fused)
            else "fixed inference"
        )
    return "fixed training" if any("/moments/" in op.name for op in own) else "fixed inference"


def _known(run: "Ran", flag: Operation) -> bool | None:
    """What decided in a run: what was fed, a constant, or a placeholder's default; None if neither."""
    value = flag.inputs[0].op if flag.type == "PlaceholderWithDefault" else flag
    if flag.name not in run.flags and value.type == "Const":
        return bool(value.attrs.get("value"))
    return run.flags.get(flag.name)


def _scope(one: Handmade) -> str:
    """The name of a normalization that a program makes itself: that of what it is built in."""
    return re.sub(r"/?batchnorm(_\d+)?/Rsqrt$", "", one.roots[0].name) or "batchnorm"


def _is_fused(op: Operation) -> bool:
    return op.type.startswith("FusedBatchNorm") and "Grad" not in op.type


def _variable(linear: Operation) -> Operation | None:
    """The variable that a linear operation multiplies by."""
    for tensor in linear.inputs:
        op = tensor.op
        while op.type in ("Identity", "ReadVariableOp", "Enter", "Switch", "Cast") and op.inputs:
            op = op.inputs[0].op
        if op.type in VARIABLES:
            return op
    return None


def _linear_before(norm: Operation) -> Iterator[Operation]:
    """The linear operations whose values a normalization gets, through what is not linear."""
    waiting = [norm.inputs[0].op]
    seen: set[Operation] = set()
    while waiting and len(seen) < 64:
        op = waiting.pop()
        if op in seen or op.type in VARIABLES:
            continue
        seen.add(op)
        if op.type in _LINEAR:
            yield op
        else:
            waiting += [tensor.op for tensor in op.inputs]


def _flat(value: Any) -> list[Any]:
    """What an array or a list holds."""
    return list(value.flat) if hasattr(value, "flat") else list(value or [])
