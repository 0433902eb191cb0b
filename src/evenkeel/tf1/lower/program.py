"""A lowered program: one function of the fed values, and the node behind every line of it."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.lower.emit import Emitter
from evenkeel.tf1.lower.loops import gather
from evenkeel.tf1.lower.rewrites import rewrite
from evenkeel.tf1.lower.steps import Plan
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.state import State


class Program:
    """``program(*fed values)`` gives the fetched values; operations give None."""

    __slots__ = ("_differentiates", "_run", "executed")

    def __init__(
        self, run: Callable[..., Any], differentiates: bool, executed: frozenset[Operation]
    ) -> None:
        self._run, self._differentiates, self.executed = run, differentiates, executed

    def __call__(self, *values: Any) -> Any:
        """Run; an error gets the node at work."""
        was = torch.is_grad_enabled()
        torch._C._set_grad_enabled(self._differentiates)
        try:
            return self._run(*values)
        except Exception as error:  # each gets its node, and goes on
            raise _placed(error) from error
        finally:
            torch._C._set_grad_enabled(was)


def lower(graph: Graph, fetched: list[Any], fed: list[Tensor], state: State) -> Program:
    """The program that computes ``fetched`` from ``fed``."""
    plan = Plan(fetched, set(fed))
    plan.collect()
    leaves = rewrite(plan, graph.gradient_records)
    gather(plan, None)
    emitter = Emitter(plan, state, leaves)
    for tensor in fed:
        emitter.placeholder(tensor)
    emitter.steps(plan.steps)
    run = emitter.finish(fetched)
    executed = frozenset(op for step in plan.steps for op in step.covers)
    return Program(run, bool(leaves), executed)


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
