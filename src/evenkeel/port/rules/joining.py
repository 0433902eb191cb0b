"""Tensors cut along an axis and put together again; recurrent cells are made of these."""

from collections.abc import Sequence

import numpy as np

from evenkeel.port.rules.arithmetic import tidy
from evenkeel.port.steps import Value
from evenkeel.port.tracing import Tracing, rule
from evenkeel.tf1.nodes import Operation, Tensor


@rule("ConcatV2", "Concat")
def concat(tracing: Tracing, op: Operation) -> Value | None:
    """Tensors behind one another along an axis."""
    last = op.type == "ConcatV2"
    tensors, axis = (op.inputs[:-1], op.inputs[-1]) if last else (op.inputs[1:], op.inputs[0])
    values = _alike(tracing, tensors)
    out = tracing.new(tracing.shape(op.outputs[0]), values[0].axes)
    place = values[0].place(int(tracing.constant(axis)))
    return tracing.emit("concat", values, out, f"torch.cat([{_places(values)}], dim={place})")


@rule("Pack")
def stack(tracing: Tracing, op: Operation) -> Value | None:
    """Tensors side by side along a new axis."""
    values = tuple(tracing.plain(tracing.value(t)) for t in op.inputs)
    shape = tracing.shape(op.outputs[0])
    at = int(op.attrs.get("axis", 0)) % len(shape)
    text = f"torch.stack([{_places(values)}], dim={at})"
    return tracing.emit("stack", values, tracing.new(shape), text)


@rule("Split", "SplitV")
def split(tracing: Tracing, op: Operation) -> Value | None:
    """Parts along an axis, a step each; those that nobody uses fall away."""
    data, axis = (
        (op.inputs[1], op.inputs[0]) if op.type == "Split" else (op.inputs[0], op.inputs[2])
    )
    x = tracing.value(data)
    x = tracing.plain(x) if x.order is not None else x
    along = int(tracing.constant(axis)) % len(x.shape)
    if x.shape[along] < 0:
        raise tracing.refuse(op, "it cuts along the batch")
    place, shapes = x.place(along), [tracing.shape(t) for t in op.outputs]
    ends = np.cumsum([shape[along] for shape in shapes]).tolist()
    for tensor, shape, end in zip(op.outputs, shapes, ends, strict=True):
        begin = end - shape[along]
        first, last = begin or "", "" if end == x.shape[along] else end
        text = f"{{0}}[{':, ' * place}{first}:{last}]"
        out = tracing.new(shape, x.axes)
        tracing.values[tensor] = tracing.emit("slice", (x,), out, text)
    return tracing.values[op.outputs[0]]


@rule("Unpack")
def unstack(tracing: Tracing, op: Operation) -> Value | None:
    """What lies at each place of an axis, a step each."""
    x = tracing.plain(tracing.value(op.inputs[0]))
    at = int(op.attrs.get("axis", 0)) % len(x.shape)
    for i, tensor in enumerate(op.outputs):
        out = tracing.new(tracing.shape(tensor))
        tracing.values[tensor] = tracing.emit("slice", (x,), out, f"{{0}}[{':, ' * at}{i}]")
    return tracing.values[op.outputs[0]]


@rule("Fill")
def fill(tracing: Tracing, op: Operation) -> Value | None:
    """One number in the shape of the batch: a recurrent cell's first state."""
    shape, number = tracing.shape(op.outputs[0]), tidy(tracing.constant(op.inputs[1]).item())
    if shape[0] >= 0 or -1 in shape[1:]:
        raise tracing.refuse(op, f"its shape is not the batch and known sizes: {shape}")
    source = next(
        value for tensor, value in tracing.values.items() if tensor in tracing.reading.fed
    )
    sizes = ", ".join(("{0}.shape[0]", *map(str, shape[1:])))
    kind = op.outputs[0].dtype.base_dtype.as_torch_dtype
    text = f"{{0}}.new_full(({sizes}), {number}, dtype={kind})"
    return tracing.emit("state", (source,), tracing.new(shape), text)


def _alike(tracing: Tracing, tensors: Sequence[Tensor]) -> tuple[Value, ...]:
    """Values with their axes in one order."""
    values = tuple(tracing.value(t) for t in tensors)
    if any(v.axes != values[0].axes or v.order is not None for v in values):
        return tuple(tracing.plain(v) for v in values)
    return values


def _places(values: Sequence[Value]) -> str:
    return ", ".join(f"{{{i}}}" for i in range(len(values)))
