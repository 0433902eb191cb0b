"""One ``tf.gradients`` call as a whole: what torch's autograd can do in place of its nodes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from evenkeel.tf1.lower.steps import Plan, Step
from evenkeel.tf1.nodes import Operation, Tensor

_WRITES = ("Assign", "AssignAdd", "AssignSub")


@dataclass(frozen=True, eq=False)
class GradientRecord:
    """``tf.gradients(ys, xs, grad_ys)``: its results (one a x) and every node that it made.

    ``grad_ys`` holds None where the caller gave none; nodes of the caller's own are not in ``ops``.
    """

    ys: tuple[Tensor, ...]
    xs: tuple[Tensor, ...]
    grad_ys: tuple[Tensor | None, ...]
    results: tuple[Tensor, ...]
    ops: frozenset[Operation]

    def is_whole(self, plan: Plan) -> bool:
        """Whether no x is fed past its readers or written before the ys are known."""
        refs = {x for x in self.xs if x.dtype.is_ref}
        if not all(y.dtype.is_floating for y in self.ys):
            return False
        before, todo = set(), [y.op for y in self.ys if y not in plan.fed]
        while todo:
            op = todo.pop()
            if op in before:
                continue
            before.add(op)
            todo += [t.op for t in op.inputs if t not in plan.fed] + op.control_inputs
        if before & self.ops:
            return False
        return not any(op.type in _WRITES and op.inputs[0] in refs for op in before)


def autograd_step(record: GradientRecord, keep: bool) -> Step:
    """The step that asks torch for the gradients."""
    given = tuple(g for g in record.grad_ys if g is not None)
    waits = dict.fromkeys(c for op in record.ops for c in op.control_inputs if c not in record.ops)
    covers = tuple(sorted(record.ops, key=lambda op: op._id))
    where = tuple(g is not None for g in record.grad_ys)
    run = gradients_of(len(record.ys), len(record.xs), where, keep)
    inputs = (*record.ys, *record.xs, *given)
    return Step(covers, inputs, tuple(waits), record.results, run, "autograd")


def gradients_of(
    count_y: int, count_x: int, where: tuple[bool, ...], keep: bool
) -> Callable[..., Any]:
    """A function of ys, xs and the given grad_ys: the gradients by the xs, zeros where none."""

    def autograd(*values: Any) -> Any:
        ys, xs = values[:count_y], values[count_y : count_y + count_x]
        given = iter(values[count_y + count_x :])
        seeds = [
            next(given) if there else torch.ones_like(y) for y, there in zip(ys, where, strict=True)
        ]
        pairs = [(y, s) for y, s in zip(ys, seeds, strict=True) if y.requires_grad]
        if not pairs:
            return tuple(torch.zeros_like(x) for x in xs)
        tops, weights = zip(*pairs, strict=True)
        found = torch.autograd.grad(tops, xs, weights, retain_graph=keep, allow_unused=True)
        return tuple(
            torch.zeros_like(x) if g is None else g for g, x in zip(found, xs, strict=True)
        )

    autograd.__module__ = "evenkeel.tf1.ops"
    autograd.__qualname__ = "autograd"
    return autograd


def leaf(value: Any) -> Any:
    """The value as one that gradients are taken by."""
    return value if value.requires_grad else value.detach().requires_grad_()
