"""Relu behind the two FusedBatchNorms of a ``tf.cond``: it moves into both branches' kernels.

That is what ``tf.layers.batch_normalization(training=placeholder)`` and a Relu build.
"""

from typing import Any

from evenkeel.tf1.lower.peepholes.batch_norm_relu import KINDS, both
from evenkeel.tf1.lower.rewrites import peephole
from evenkeel.tf1.lower.steps import Plan, Step, fused
from evenkeel.tf1.nodes import Tensor


@peephole
def batch_norm_cond_relu(plan: Plan) -> None:
    """Give each branch's step the activation; the Relu passes on what it is given."""
    takers = _takers(plan)
    for step in list(plan.steps):
        relu = step.op
        if relu.type != "Relu" or step.run is not None or relu.inputs[0].op.type != "Merge":
            continue
        merged = relu.inputs[0]
        norms = [t.op for t in merged.op.inputs]
        if merged.index or not all(_fits(plan, t) for t in merged.op.inputs):
            continue
        hidden = [*merged.op.inputs, merged]
        if any(len(takers.get(t, ())) != 1 or t in plan.fed or t in plan.fetched for t in hidden):
            continue
        for norm in norms:
            plan.replace(fused((norm,), norm.inputs, norm.outputs, both(norm), "batch_norm_relu"))
        plan.replace(fused((relu,), relu.inputs, relu.outputs, _passed, "relu_done"))


def _fits(plan: Plan, y: Tensor) -> bool:
    """Whether a branch ends in a batch norm that no other rewrite has taken."""
    return y.op.type in KINDS and not y.index and plan.step_of[y.op].run is None


def _takers(plan: Plan) -> dict[Tensor, list[Step]]:
    table: dict[Tensor, list[Step]] = {}
    for step in plan.steps:
        for tensor in step.inputs:
            table.setdefault(tensor, []).append(step)
    return table


def _passed(y: Any) -> tuple[Any]:
    return (y,)


_passed.__module__ = "evenkeel.tf1.ops"
_passed.__qualname__ = _passed.__name__ = "passed"
