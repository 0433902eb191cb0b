"""Gradients of fused batch normalization: from the batch's statistics, or from those given."""

from typing import Any

from evenkeel.tf1.api.arrays import transpose
from evenkeel.tf1.autodiff.rules.network import copied
from evenkeel.tf1.build import apply
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.table import GRADIENTS

rule = GRADIENTS.add


def _gradient(version: int, op: Operation, grad: Any) -> list[Any]:
    x, scale = op.inputs[0], op.inputs[1]
    kind = f"FusedBatchNormGradV{version}" if version else "FusedBatchNormGrad"
    attrs = copied(op, "epsilon", "data_format", "is_training")
    if op.attrs["is_training"]:
        kept = op.outputs[3:6] if version == 3 else op.outputs[3:5]
        return list(apply(kind, grad, x, scale, *kept, **attrs))
    return _frozen(kind, version, op, grad, attrs)


def _frozen(kind: str, version: int, op: Operation, grad: Any, attrs: Any) -> list[Any]:
    x, scale, _, mean, variance = op.inputs
    first = attrs["data_format"] == "NCHW"
    if first:
        x, grad = transpose(x, [0, 2, 3, 1]), transpose(grad, [0, 2, 3, 1])
    given = [grad, x, scale, mean, variance]
    given += [op.outputs[5]] if version == 3 else []
    made = apply(kind, *given, **(attrs | {"data_format": "NHWC"}))
    dx = transpose(made[0], [0, 3, 1, 2]) if first else made[0]
    return [dx, made[1], made[2], None, None]


def _rule(kind: str, version: int) -> None:
    def fused(op: Operation, grad: Any, *_others: Any) -> list[Any]:
        return _gradient(version, op, grad)

    rule(kind)(fused)


_rule("FusedBatchNorm", 0)
_rule("FusedBatchNormV2", 2)
_rule("FusedBatchNormV3", 3)
