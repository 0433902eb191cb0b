"""Values and shapes that are known while the graph is built."""

from typing import Any

import numpy as np

from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops import definition, is_defined
from evenkeel.tf1.ops.signature import grouped, signature
from evenkeel.tf1.shapes import TensorShape, unknown_shape
from evenkeel.tf1.values import to_host, to_numpy, to_torch

LARGEST = 4096  # values in an array that is folded while the graph is built
_NEVER = frozenset(("Placeholder", "PlaceholderWithDefault", "Switch", "Merge", "Enter", "Exit"))
_NOTHING = object()


def folded(tensor: Tensor) -> Any:
    """The value as numpy where it is known, else None."""
    if (found := _known(tensor)) is not None:
        return found
    op = tensor.op
    if op.folded is None or op.folded[0] != op.graph.version:
        outputs = _run_constant(op)
        # What is known stays known; what is not may be known after `set_shape`.
        op.folded = (op.graph.version if outputs is None else -1, outputs)
    outputs = op.folded[1]
    return None if outputs is None else outputs[tensor.index]


def _known(tensor: Tensor) -> Any:
    op = tensor.op
    if op.type == "Const":
        return op.attrs["value"]
    if op.folded is not None and op.folded[1] is not None:
        return op.folded[1][tensor.index]
    return None


def _run_constant(op: Operation) -> Any:
    if op.type in ("Shape", "Size", "Rank", "ShapeN") and (sizes := _of_shape(op)) is not None:
        return sizes
    if op.type in _NEVER or not is_defined(op.type) or signature(op.type).stateful:
        return None
    row = definition(op.type)
    too_big = any((t.shape.num_elements() or 0) > LARGEST for t in [*op.inputs, *op.outputs])
    if row.stateful or too_big or not op.outputs or not all(t.dtype.has_torch for t in op.inputs):
        return None
    if not op.outputs[0].dtype.has_torch:
        return None
    values = []
    for tensor in op.inputs:
        if (value := folded(tensor)) is None:
            return None  # at the first unknown: what feeds it need not be walked through
        values.append(value)
    return _evaluate(op, values)


def _evaluate(op: Operation, values: list[Any]) -> Any:
    row = definition(op.type)
    pairs = list(zip(op.inputs, values, strict=True))
    groups = grouped(op.type, op.attrs, pairs)
    args = [
        _each(group, to_host_value if arg.name in row.host else to_torch_value)
        for arg, group in zip(signature(op.type).inputs, groups, strict=True)
    ]
    outputs = row.bake(op)(*args)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return [np.asarray(to_numpy(v)) for v in outputs]


def _each(group: Any, convert: Any) -> Any:
    return [convert(pair) for pair in group] if isinstance(group, list) else convert(group)


def to_host_value(pair: tuple[Tensor, Any]) -> Any:
    """A known value as Python sees it."""
    return to_host(pair[1])


def to_torch_value(pair: tuple[Tensor, Any]) -> Any:
    """A known value as a torch tensor."""
    return to_torch(pair[1], pair[0].dtype)


def _of_shape(op: Operation) -> Any:
    shapes = [t.shape for t in op.inputs]
    if op.type == "Rank":
        return None if shapes[0].ndims is None else [np.array(shapes[0].ndims, np.int32)]
    if not all(s.is_fully_defined() for s in shapes):
        return None
    kind = op.attrs["out_type"].as_numpy_dtype
    if op.type == "Size":
        return [np.array(shapes[0].num_elements(), kind)]
    return [np.array(s.sizes, kind) for s in shapes]


def partial_shape(tensor: Tensor) -> TensorShape:
    """The shape that a vector of sizes describes, as far as it is known; -1 is unknown."""
    value = folded(tensor)
    if value is not None:
        if value.ndim == 0:
            return unknown_shape()
        return TensorShape([None if v < 0 else int(v) for v in value])
    if tensor.op.type in ("Shape", "ShapeN"):
        return tensor.op.inputs[tensor.index].shape
    rule = _PARTIAL.get(tensor.op.type)
    found = rule(tensor.op) if rule else None
    if found is not None:
        return found
    length = tensor.shape[0].value if tensor.shape.ndims == 1 else None
    return unknown_shape(length)


def _of_pack(op: Operation) -> TensorShape | None:
    sizes = []
    for item in op.inputs:
        value = folded(item)
        sizes.append(None if value is None or value.ndim or value < 0 else int(value))
    return TensorShape(sizes)


def _of_concat(op: Operation) -> TensorShape | None:
    whole = TensorShape([])
    for item in op.inputs[:-1]:
        whole = whole.concatenate(partial_shape(item))
    return whole


def _of_slice(op: Operation) -> TensorShape | None:
    bounds = [folded(t) for t in op.inputs[1:]]
    masks = ("ellipsis_mask", "new_axis_mask")
    if any(b is None or b.shape != (1,) for b in bounds) or any(op.attrs[m] for m in masks):
        return None
    base = partial_shape(op.inputs[0])
    if base.ndims is None:
        return None
    start = None if op.attrs["begin_mask"] & 1 else int(bounds[0][0])
    stop = None if op.attrs["end_mask"] & 1 else int(bounds[1][0])
    if op.attrs["shrink_axis_mask"] & 1:
        at = start or 0
        return TensorShape([base.sizes[at]]) if -len(base) <= at < len(base) else None
    return TensorShape(base.sizes[start : stop : int(bounds[2][0])])


def _of_cast(op: Operation) -> TensorShape | None:
    return partial_shape(op.inputs[0])


_PARTIAL = {
    "Pack": _of_pack,
    "ConcatV2": _of_concat,
    "StridedSlice": _of_slice,
    "Identity": _of_cast,
}


# The types through which TensorFlow's own Python looks for a value: what decides branches.
_SEEN_THROUGH = frozenset(
    ("Const", "Shape", "Size", "Rank", "Range", "Cast", "Concat", "ConcatV2", "Pack", "Fill")
) | {"Equal", "NotEqual", "ConcatOffset"}


def constant_value(tensor: Any, partial: bool = False) -> Any:
    """The value that TensorFlow's Python sees while it builds, else None."""
    if not isinstance(tensor, Tensor):
        return tensor
    seen = _seen(tensor)
    return folded(tensor) if seen else None


def _seen(tensor: Tensor) -> bool:
    op = tensor.op
    if op.type not in _SEEN_THROUGH:
        return False
    return op.type in ("Shape", "Size", "Rank") or all(_seen(t) for t in op.inputs)
