"""Gradients of arrays: each array has a second one, for each call of ``tf.gradients``."""

from typing import Any

from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops.table import GRADIENTS
from evenkeel.tf1.tensor_array import TensorArray

rule = GRADIENTS.add


def _gradients(op: Operation, dtype: Any, flow: Tensor, beside: Tensor) -> TensorArray:
    """The array of gradients that belongs to the call that made ``beside``."""
    parts = beside.name.split("/")
    found = [i for i, part in enumerate(parts) if part.startswith("gradients")]
    if not found:
        raise ValueError(
            "Expected op/tensor name to start with gradients (excluding scope), got: "
            f"{beside.name}. Names of tf.gradients calls around a TensorArray begin with 'gradients'."
        )
    source = "/".join(parts[: found[-1] + 1])
    return TensorArray(dtype, handle=op.inputs[0], flow=flow).grad(source, flow)


@rule("TensorArrayReadV3")
def read(op: Operation, grad: Tensor) -> list[Any]:
    """Written to the place that was read."""
    array = _gradients(op, op.attrs["dtype"], op.inputs[2], grad)
    return [None, None, array.write(op.inputs[1], grad).flow]


@rule("TensorArrayWriteV3")
def write(op: Operation, flow: Tensor) -> list[Any]:
    """Read from the place that was written."""
    array = _gradients(op, op.attrs["T"], flow, flow)
    return [None, None, array.read(op.inputs[1]), flow]


@rule("TensorArrayGatherV3")
def gather(op: Operation, grad: Tensor) -> list[Any]:
    """Rows written to the places that were read."""
    array = _gradients(op, op.attrs["dtype"], op.inputs[2], grad)
    return [None, None, array.scatter(op.inputs[1], grad).flow]


@rule("TensorArrayScatterV3")
def scatter(op: Operation, flow: Tensor) -> list[Any]:
    """Rows read from the places that were written."""
    array = _gradients(op, op.attrs["T"], flow, flow)
    return [None, None, array.gather(op.inputs[1]), flow]


@rule("TensorArrayConcatV3")
def concat(op: Operation, grad: Tensor, _lengths: Any = None) -> list[Any]:
    """Parts written to the places in turn."""
    array = _gradients(op, op.attrs["dtype"], op.inputs[1], grad)
    return [None, array.split(grad, op.outputs[1]).flow]


@rule("TensorArraySplitV3")
def split(op: Operation, flow: Tensor) -> list[Any]:
    """The parts joined."""
    array = _gradients(op, op.attrs["T"], flow, flow)
    return [None, array.concat(), None, flow]
