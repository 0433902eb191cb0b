"""Whether a step may write its result over its input: half the memory of inference."""

from typing import Any

from evenkeel.tf1.lower.peepholes.activation import passes_on
from evenkeel.tf1.lower.steps import Plan
from evenkeel.tf1.nodes import Tensor

# Kernels that always give a tensor of their own, never a view of an input.
_FRESH = ("BiasAdd", "Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul")


def may_overwrite(plan: Plan, x: Tensor, context: Any) -> bool:
    """Whether nobody but one step of ``context`` needs ``x`` again, gradients included."""
    if any(step.name == "autograd" for step in plan.steps):
        return False
    while x not in plan.fed and x not in plan.fetched:
        if sum(x in step.inputs for step in plan.steps) != 1:
            return False
        step = plan.step_of[x.op]
        if not passes_on(step):
            return x.op.type in _FRESH and step.context is plan.predicates.open(context)
        x = step.inputs[0]
    return False
