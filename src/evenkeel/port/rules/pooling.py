"""Pooling, padded as TensorFlow pads."""

from typing import Any

import numpy as np

from evenkeel.port.rules.convolution import short
from evenkeel.port.steps import Array, Call, Value
from evenkeel.port.tracing import Tracing, rule
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.windows import flat_pad, is_channels_first, paddings, spatial


@rule("MaxPool", "MaxPool3D", "AvgPool", "AvgPool3D")
def pool(tracing: Tracing, op: Operation) -> Value | None:
    """MaxPool or AvgPool; padding that is one longer behind is what rounding up does."""
    fmt = op.attrs["data_format"]
    x = tracing.value(op.inputs[0])
    x = tracing.plain(x) if is_channels_first(fmt) else tracing.channels_first(x)
    kernel, strides = spatial(op.attrs["ksize"], fmt), spatial(op.attrs["strides"], fmt)
    if -1 in x.sizes[1:]:
        raise tracing.refuse(op, f"the size of its input is not fixed: {x.sizes}")
    ones = [1 for _ in kernel]
    pads = paddings(x.sizes[2:], kernel, strides, ones, op.attrs["padding"], None, fmt)
    out = tracing.new(tracing.shape(op.outputs[0]), x.axes)
    name = "Max" if op.type.startswith("Max") else "Avg"
    ceil = _ceiling(pads, strides)
    if ceil is None:
        return _padded(tracing, name, x, out, kernel, strides, pads)
    arguments = {
        "kernel": short(kernel),
        "stride": short(strides),
        "padding": short([a for a, _ in pads]),
        "ceil_mode": ceil,
    }
    defaults: dict[str, Any] = {"padding": 0, "ceil_mode": False}
    if name == "Avg":
        arguments["count_include_pad"] = not any(a + b for a, b in pads)
        defaults["count_include_pad"] = True
    call = Call(f"nn.{name}Pool{len(pads)}d", arguments, ("kernel", "stride"), defaults)
    return tracing.layer("pool", x, out, call)


def _ceiling(pads: Any, strides: Any) -> bool | None:
    more = {b - a for a, b in pads}
    if more == {0}:
        return False
    fits = all(b - a == 1 and s > 1 for (a, b), s in zip(pads, strides, strict=True))
    return True if fits else None


def _padded(
    tracing: Tracing, name: str, x: Value, out: Value, kernel: Any, strides: Any, pads: Any
) -> Value:
    """Padding in a step of its own: −∞ for maxima; means are scaled up where zeros took part."""
    rank, sides = len(pads), ", ".join(str(p) for p in flat_pad(pads))
    sizes = [s + a + b for s, (a, b) in zip(x.sizes[2:], pads, strict=True)]
    wide = tracing.new((x.shape[0], *sizes, x.sizes[1]), x.axes)
    value = ', value=float("-inf")' if name == "Max" else ""
    tracing.emit("padding", (x,), wide, f"F.pad({{0}}, ({sides}){value})")
    call = Call(
        f"nn.{name}Pool{rank}d",
        {"kernel": short(kernel), "stride": short(strides)},
        ("kernel", "stride"),
    )
    if name == "Max":
        return tracing.layer("pool", wide, out, call)
    mean = tracing.layer("pool", wide, tracing.like(out), call)
    scale = _one_over_real(x.sizes[2:], kernel, strides, pads)
    buffer = Call("nn.Buffer", {"shape": scale.shape}, ("shape",))
    tensors, owners = {"": scale}, {"": ""}
    return tracing.emit(
        "constant", (mean,), out, "{0} * {layer}", call=buffer, tensors=tensors, owners=owners
    )


def _one_over_real(sizes: Any, kernel: Any, strides: Any, pads: Any) -> Array:
    """Values in a window over those that are no padding, for each window."""
    found = np.ones((), np.float32)
    for size, k, stride, (before, after) in zip(sizes, kernel, strides, pads, strict=True):
        starts = np.arange(0, size + before + after - k + 1, stride) - before
        real = np.minimum(starts + k, size) - np.maximum(starts, 0)
        found = np.multiply.outer(found, (k / real).astype(np.float32))
    return found
