"""MatMul and the BiasAdd behind it: one product that starts from the bias."""

from typing import Any

import torch

from evenkeel.tf1.lower.rewrites import free, peephole
from evenkeel.tf1.lower.steps import Plan, fused


@peephole
def dense(plan: Plan) -> None:
    """Put one step in the place of both nodes, where torch has the product for their types."""
    for step in list(plan.steps):
        total = step.op
        if total.type != "BiasAdd" or not step.is_plain or not total.inputs[0].dtype.is_floating:
            continue
        product = total.inputs[0].op
        if product.type != "MatMul" or product not in plan.step_of:
            continue
        covers = (product, total)
        if plan.step_of[product].is_plain and free(plan, covers, total.outputs):
            inputs = (*product.inputs, total.inputs[1])
            run = _product(product.attrs["transpose_a"], product.attrs["transpose_b"])
            plan.replace(fused(covers, inputs, total.outputs, run, "dense"))


def _product(transpose_a: bool, transpose_b: bool) -> Any:
    def dense(a: Any, b: Any, bias: Any) -> Any:
        left, right = a.t() if transpose_a else a, b.t() if transpose_b else b
        return (torch.addmm(bias, left, right),)

    dense.__module__, dense.__qualname__ = "evenkeel.tf1.ops", "dense"
    return dense
