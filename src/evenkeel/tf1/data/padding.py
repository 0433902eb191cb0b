"""What ``padded_batch`` fills up: shapes and values for each component."""

from typing import Any

from evenkeel.tf1.build import constant, convert
from evenkeel.tf1.data import structure
from evenkeel.tf1.data.structure import TensorSpec
from evenkeel.tf1.dtypes import DType, int64
from evenkeel.tf1.fold import partial_shape
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import TensorShape, as_shape


def padding_of(spec: Any, shapes: Any, values: Any) -> tuple[list[Tensor], list[Tensor], Any]:
    """Shapes and fill values as tensors, and the spec of one filled element."""
    leaves = structure.flatten(spec)
    sizes = [
        _shape(wanted, leaf.shape)
        for wanted, leaf in zip(structure.flatten_up_to(spec, shapes), leaves, strict=True)
    ]
    given = [None] * len(leaves) if values is None else structure.flatten_up_to(spec, values)
    fills = [_fill(v, leaf.dtype) for v, leaf in zip(given, leaves, strict=True)]
    inner = [
        TensorSpec(partial_shape(s), leaf.dtype) for s, leaf in zip(sizes, leaves, strict=True)
    ]
    return sizes, fills, structure.pack(spec, inner)


def _shape(wanted: Any, there: TensorShape) -> Tensor:
    if isinstance(wanted, Tensor):
        return convert(wanted, int64)
    shape = as_shape(wanted)
    if there.ndims is not None and there.ndims != shape.ndims:
        raise ValueError(
            f"The padded shape {shape} is not compatible with the corresponding input component "
            f"shape {there}."
        )
    return constant([-1 if s is None else s for s in shape.sizes], int64, [shape.ndims])


def _fill(value: Any, kind: DType) -> Tensor:
    if value is None:
        value = kind.as_numpy_dtype() if kind.has_torch else ""
    made = convert(value, name="padding_value")
    if made.shape.ndims != 0:
        raise ValueError(f"Padding value should be a scalar, but is not: {made}")
    if made.dtype != kind:
        raise TypeError(f"Padding value tensor ({made}) does not match output type: {kind}")
    return made
