"""The gradient of a loop, which only torch's autograd can compute, with the whole call that asked."""

from typing import Any

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape, unknown_shape


def _of_inputs(node: Any) -> list[TensorShape]:
    floats = [t for t in node.inputs if t.dtype.is_floating or t.dtype.is_complex]
    return [t.shape for t in floats[: len(node.outputs)]] or [unknown_shape()]


@op("SymbolicGradient", shape=_of_inputs, stateful=True)
def symbolic_gradient(values: list[Any], *, op: Any) -> Any:
    """Refused by itself."""
    raise errors.UnimplementedError(
        None,
        op,
        "A gradient through tf.while_loop is computed with the whole tf.gradients call: fetch what "
        "that returned, alone, and feed nothing inside of it",
    )
