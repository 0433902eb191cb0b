"""A lowered program: one function of the fed values, and the node behind every line of it."""

from collections.abc import Callable
from threading import RLock
from types import TracebackType
from typing import Any

import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.lower.emit import Emitter
from evenkeel.tf1.lower.loops import gather
from evenkeel.tf1.lower.predicates import deciding
from evenkeel.tf1.lower.rewrites import rewrite
from evenkeel.tf1.lower.steps import Plan
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.state import State


class Program:
    """``program(*fed values)`` gives the fetched values; operations give None.

    There is one function for each truth of the fed values that decide a branch, lowered when it is
    first asked for.
    """

    __slots__ = ("_deciding", "_lower", "_runs", "executed")

    def __init__(
        self, lower: Callable[..., Any], deciding: list[int], executed: frozenset[Operation]
    ) -> None:
        self._lower, self._deciding, self.executed = lower, deciding, executed
        self._runs: dict[tuple[bool, ...], tuple[Callable[..., Any], bool]] = {}

    def __call__(self, *values: Any) -> Any:
        """Run; an error gets the node at work."""
        known = tuple([_truth(values[i]) for i in self._deciding])
        if known not in self._runs:
            self._runs[known] = self._lower(known)
        run, differentiates = self._runs[known]
        was = torch.is_grad_enabled()
        torch._C._set_grad_enabled(differentiates)
        try:
            return run(*values)
        except Exception as error:  # each gets its node, and goes on
            raise _placed(error) from error
        finally:
            torch._C._set_grad_enabled(was)


_lowering = RLock()  # threads of queues share a session: one of them lowers at a time


def lower(graph: Graph, fetched: list[Any], fed: list[Tensor], state: State) -> Program:
    """The program that computes ``fetched`` from ``fed``."""
    executed = frozenset(step.op for step in Plan(fetched, set(fed)).collect())
    deciders = deciding(executed, fed)

    def lowered(known: tuple[bool, ...]) -> tuple[Callable[..., Any], bool]:
        with _lowering:
            plan = Plan(fetched, set(fed), dict(zip(deciders, known, strict=True)))
            plan.collect()
            leaves = rewrite(plan, graph.gradient_records)
            gather(plan, None)
            emitter = Emitter(plan, state, leaves)
            for tensor in fed:
                emitter.placeholder(tensor)
            emitter.steps(plan.steps)
            return emitter.finish(fetched), bool(leaves)

    return Program(lowered, [fed.index(t) for t in deciders], executed)


def _truth(value: Any) -> bool:
    if value.numel() != 1:
        raise errors.InvalidArgumentError(
            None, None, f"The second input must be a scalar, but it has shape {list(value.shape)}"
        )
    return bool(value)


def _placed(error: Exception) -> Exception:
    """The error as TensorFlow raises it, with the node at work."""
    op = _node_at(error.__traceback__)
    if isinstance(error, errors.OpError):
        if error.op is None:
            return type(error)(None, op, error.message)
        return error
    if isinstance(error, RuntimeError | IndexError | ValueError | TypeError) and op is not None:
        if "out of memory" in str(error):
            return errors.ResourceExhaustedError(None, op, str(error))
        return errors.InvalidArgumentError(None, op, str(error).splitlines()[0])
    return error


def _node_at(trace: TracebackType | None) -> Any:
    """The node of the innermost generated line in a traceback."""
    found = None
    while trace is not None:
        module = trace.tb_frame.f_locals.get("self")
        at = getattr(module, "_evenkeel_at", None)
        if at is not None:
            found = at.get(_assigned_name(trace), found)
        trace = trace.tb_next
    return found


def _assigned_name(trace: TracebackType) -> str:
    import linecache

    line = linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
    return line.split("=")[0].strip()
