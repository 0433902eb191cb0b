"""The gradient of an output that nothing used: zeros, made only on the branch that was taken."""

from typing import Any

from evenkeel.tf1.build import apply
from evenkeel.tf1.nodes import Operation


def zeros_of(op: Operation, index: int) -> Any:
    """Zeros in the shape of one output of ``op``."""
    from evenkeel.tf1.api.arrays import shape_of
    from evenkeel.tf1.api.constants import zeros, zeros_like

    value = op.outputs[index]
    context = op._get_control_flow_context()
    if op.type not in ("Switch", "RefSwitch") or context is None:
        return zeros_like(value, optimize=False)
    data = op.inputs[0]
    kind = "RefSwitch" if data.dtype.is_ref else "Switch"
    other = apply(kind, data, context.pred, name="Switch")[1 - context.branch]
    pivot = apply("Identity", other)
    sizes = shape_of(other, optimize=False)
    # A node that waits for the branch is not run where the branch is not taken.
    with op.graph.control_dependencies([pivot]):
        return zeros(sizes, value.dtype.base_dtype)
