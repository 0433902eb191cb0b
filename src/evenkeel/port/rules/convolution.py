"""Dense layers, convolutions of every kind, and their biases."""

from typing import Any

import numpy as np

from evenkeel.port.steps import Array, Call, Value, features_last
from evenkeel.port.tracing import Tracing, rule
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops.windows import is_channels_first, paddings, spatial

_CONV: dict[str, Any] = {
    "positional": ("inputs", "outputs", "kernel"),
    "defaults": {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1},
}


@rule("MatMul")
def dense(tracing: Tracing, op: Operation) -> Value | None:
    """Linear: rows of the kernel in the order in which the module flattened."""
    if tracing.is_data(op.inputs[1]) or not tracing.is_data(op.inputs[0]):
        return None
    if op.attrs.get("transpose_a"):
        raise tracing.refuse(op, "the data are transposed")
    x = tracing.value(op.inputs[0])
    kernel = tracing.constant(op.inputs[1])
    kernel = kernel.T if op.attrs.get("transpose_b") else kernel
    kernel = features_last(kernel, x.order)
    if not x.is_plain and x.order is None:
        x = tracing.plain(x)
    inputs, outputs = kernel.shape
    call = Call(
        "nn.Linear",
        {"inputs": inputs, "outputs": outputs, "bias": False},
        ("inputs", "outputs"),
        {"bias": True},
    )
    tensors, owners = {"weight": kernel.T}, {"weight": tracing.owner(op.inputs[1])}
    out = tracing.new(tracing.shape(op.outputs[0]))
    return tracing.layer("dense", x, out, call, tensors=tensors, owners=owners)


@rule("Conv2D", "Conv3D", "DepthwiseConv2dNative")
def convolution(tracing: Tracing, op: Operation) -> Value | None:
    """Conv2d or Conv3d, with TensorFlow's padding counted out."""
    x = _image(tracing, op, op.inputs[0])
    fmt = op.attrs["data_format"]
    dilations = [int(d) for d in spatial(op.attrs.get("dilations") or [1] * len(x.shape), fmt)]
    kernel = tracing.constant(op.inputs[1])
    strides = [int(s) for s in spatial(op.attrs["strides"], fmt)]
    pads = paddings(
        x.sizes[2:], kernel.shape[:-2], strides, dilations, op.attrs["padding"],
        op.attrs.get("explicit_paddings"), fmt,
    )  # fmt: skip
    _check_known(tracing, op, x)
    return _convolved(tracing, op, op.outputs[0], x, strides, dilations, pads)


def _convolved(
    tracing: Tracing, op: Operation, output: Tensor, x: Value, strides: Any, dilations: Any,
    pads: Any,
) -> Value:  # fmt: skip
    kernel = tracing.constant(op.inputs[1])
    depthwise = op.type.startswith("Depthwise")
    moved = np.moveaxis(kernel, (-2, -1), (0, 1)) if depthwise else _out_in(kernel)
    weight = moved.reshape(-1, 1, *moved.shape[2:]) if depthwise else moved
    channels = x.sizes[1]
    arguments = {
        "inputs": channels,
        "outputs": weight.shape[0],
        "kernel": short(weight.shape[2:]),
        "stride": short(strides),
        "dilation": short(dilations),
        "groups": channels // weight.shape[1],
        "bias": False,
    }
    rank = len(x.shape) - 2
    return tracing.layer(
        "depthwise" if depthwise else "conv",
        x,
        _image_out(tracing, output, x),
        Call(f"nn.Conv{rank}d", arguments, _CONV["positional"], _CONV["defaults"] | {"bias": True}),
        pads=tuple((int(a), int(b)) for a, b in pads),
        tensors={"weight": weight},
        owners={"weight": tracing.owner(op.inputs[1])},
    )


@rule("BatchToSpaceND")
def dilated(tracing: Tracing, op: Operation) -> Value | None:
    """A dilated convolution, which TensorFlow writes as one over rearranged images."""
    conv = tracing.reading.through(op.inputs[0]).op
    if conv.type not in ("Conv2D", "DepthwiseConv2dNative") or not conv.inputs:
        return None
    cut = tracing.reading.through(conv.inputs[0]).op
    if cut.type != "SpaceToBatchND" or conv.attrs["padding"] != "VALID":
        return None
    block = tracing.constant(op.inputs[1])
    before, crops = tracing.constant(cut.inputs[2]), tracing.constant(op.inputs[2])
    if block.size != 2 or conv.attrs["data_format"] != "NHWC":
        return None
    x = tracing.channels_first(tracing.value(cut.inputs[0]))
    _check_known(tracing, op, x)
    pads = before - crops  # what was added to fill the last block is cut off again
    dilations = [int(d) for d in block]
    return _convolved(tracing, conv, op.outputs[0], x, [1, 1], dilations, pads.tolist())


@rule("Conv2DBackpropInput", "Conv3DBackpropInputV2")
def transposed(tracing: Tracing, op: Operation) -> Value | None:
    """ConvTranspose2d or 3d; what TensorFlow's padding cuts off behind is cut off after it."""
    x = _image(tracing, op, op.inputs[2])
    fmt = op.attrs["data_format"]
    weight = _out_in(tracing.constant(op.inputs[1]))
    strides = [int(s) for s in spatial(op.attrs["strides"], fmt)]
    out = _image_out(tracing, op.outputs[0], x)
    kernel, sizes = weight.shape[2:], out.sizes[2:]
    pads = paddings(sizes, kernel, strides, [1] * len(sizes), op.attrs["padding"], None, fmt)
    before = [a for a, _ in pads]
    reach = [
        (n - 1) * s + k - 2 * a
        for n, s, k, a in zip(x.sizes[2:], strides, kernel, before, strict=True)
    ]
    more = [size - got for size, got in zip(sizes, reach, strict=True)]
    cut = "".join(f", :{m}" if m < 0 else ", :" for m in more) if min(more) < 0 else ""
    arguments = {
        "inputs": weight.shape[0],
        "outputs": weight.shape[1],
        "kernel": short(kernel),
        "stride": short(strides),
        "padding": short(before),
        "output_padding": short([max(m, 0) for m in more]),
        "bias": False,
    }
    call = Call(
        f"nn.ConvTranspose{len(sizes)}d",
        arguments,
        _CONV["positional"],
        _CONV["defaults"] | {"bias": True},
    )
    text = "{layer}({0})" + (f"[:, :{cut}]" if cut else "")
    owners = {"weight": tracing.owner(op.inputs[1])}
    return tracing.emit(
        "upconv", (x,), out, text, call=call, tensors={"weight": weight}, owners=owners
    )


@rule("BiasAdd")
def bias(tracing: Tracing, op: Operation) -> Value | None:
    """A bias: part of the layer before it where that is free to take it (merging.py)."""
    x = tracing.value(op.inputs[0])
    first = is_channels_first(op.attrs.get("data_format") or "NHWC") and len(x.shape) > 2
    place = x.place(1 if first else -1)
    return add_bias(tracing, x, op.inputs[1], op.outputs[0], place)


def add_bias(tracing: Tracing, x: Value, vector: Tensor, output: Tensor, place: int) -> Value:
    """A vector added along one axis."""
    values = features_last(tracing.constant(vector).reshape(-1), x.order)
    shape = (values.size, *[1] * (len(x.shape) - 1 - place))
    return tracing.emit(
        "bias",
        (x,),
        tracing.like(x),
        "{0} + {layer}",
        call=parameter(shape),
        tensors={"": values.reshape(shape)},
        owners={"": tracing.owner(vector)},
    )


def parameter(shape: tuple[int, ...]) -> Call:
    """A parameter of the module itself."""
    return Call("nn.Parameter", {"shape": shape}, ("shape",))


def _out_in(kernel: Array) -> Array:
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def _image(tracing: Tracing, op: Operation, tensor: Tensor) -> Value:
    x = tracing.value(tensor)
    if is_channels_first(op.attrs["data_format"]):
        return tracing.plain(x)
    return tracing.channels_first(x)


def _image_out(tracing: Tracing, output: Tensor, x: Value) -> Value:
    """The output's value, laid out as the input's."""
    return tracing.new(tracing.shape(output), x.axes)


def _check_known(tracing: Tracing, op: Operation, x: Value) -> None:
    if -1 in x.sizes[1:]:
        raise tracing.refuse(op, f"the size of its input is not fixed: {x.sizes}")


def short(values: Any) -> int | tuple[int, ...]:
    """One number where all are equal.

    >>> short([2, 2]), short((3, 1))
    (2, (3, 1))
    """
    found = tuple(int(v) for v in values)
    return found[0] if len(set(found)) == 1 else found
