"""FusedBatchNorm and the activation behind it: one kernel, over its input in inference."""

from typing import Any

from evenkeel.tf1.lower.peepholes.activation import taken_in
from evenkeel.tf1.lower.peepholes.overwriting import may_overwrite
from evenkeel.tf1.lower.rewrites import peephole
from evenkeel.tf1.lower.steps import Plan, fused
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.normalization import normalized

_KINDS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")


@peephole
def fused_batch_norm(plan: Plan) -> None:
    """Give the kernel the activation, and its input to write to."""
    for step in list(plan.steps):
        norm = step.op
        if norm.type in _KINDS and step.is_plain:
            activation = taken_in(plan, norm.outputs[0])
            over = not norm.attrs["is_training"] and may_overwrite(
                plan, norm.inputs[0], step.context
            )
            if activation or over:
                run = _kernel(norm, activation, over)
                plan.replace(fused((norm,), norm.inputs, norm.outputs, run, "batch_norm"))


def _kernel(norm: Operation, activation: str | None, over: bool) -> Any:
    def batch_norm(*inputs: Any) -> Any:
        return normalized(*inputs, op=norm, activation=activation, over=over)

    batch_norm.__module__ = "evenkeel.tf1.ops"
    batch_norm.__qualname__ = "batch_norm"
    return batch_norm
