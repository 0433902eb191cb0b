"""FusedBatchNorm and the Relu behind it: one kernel, where nobody looks between them."""

from typing import Any

from evenkeel.tf1.lower.rewrites import free, peephole
from evenkeel.tf1.lower.steps import Plan, fused
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.normalization import normalized

KINDS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")


@peephole
def batch_norm_relu(plan: Plan) -> None:
    """Put one step in the place of both nodes."""
    for step in list(plan.steps):
        relu = step.op
        if relu.type != "Relu" or step.run is not None:
            continue
        norm = relu.inputs[0].op
        same = norm._control_flow_context is relu._control_flow_context
        if norm.type not in KINDS or relu.inputs[0].index or not same or relu.control_inputs:
            continue
        outputs = (relu.outputs[0], *norm.outputs[1:])
        if free(plan, (norm, relu), outputs):
            plan.replace(fused((norm, relu), norm.inputs, outputs, both(norm), "batch_norm_relu"))


def both(norm: Operation) -> Any:
    """The kernel of a FusedBatchNorm with Relu."""

    def batch_norm_relu(*inputs: Any) -> Any:
        return normalized(*inputs, op=norm, activation="relu")

    batch_norm_relu.__module__ = "evenkeel.tf1.ops"
    batch_norm_relu.__qualname__ = "batch_norm_relu"
    return batch_norm_relu
