"""Reshapes and reductions over axes: where the order of axes must be kept right."""

from math import prod

from evenkeel.port.steps import Call, Value
from evenkeel.port.tracing import Tracing, rule
from evenkeel.tf1.nodes import Operation

_REDUCTIONS = {"Mean": "mean", "Sum": "sum", "Max": "amax", "Min": "amin", "Prod": "prod"}


@rule("Reshape")
def reshape(tracing: Tracing, op: Operation) -> Value | None:
    """A flattened image keeps the module's order of features; dense kernels after it follow."""
    x = tracing.value(op.inputs[0])
    shape = tracing.shape(op.outputs[0])
    if shape == x.shape:
        return x
    if x.number in tracing.flat and shape == tracing.flat[x.number].shape:
        return tracing.flat[x.number]
    if shape == (x.shape[0], prod(x.shape[1:])) and x.axes[0] == 0:
        return _flattened(tracing, x, shape)
    if len(shape) == 4 and len(x.shape) == 2 and shape[0] == x.shape[0]:
        return _image(tracing, x, shape)
    if shape.count(-1) > 1:
        raise tracing.refuse(op, f"more than one size changes with the batch: {shape}")
    x = tracing.plain(x)
    sizes = ", ".join(str(s) for s in shape)
    return tracing.emit("reshape", (x,), tracing.new(shape), f"{{0}}.reshape({sizes})")


def _flattened(tracing: Tracing, x: Value, shape: tuple[int, ...]) -> Value:
    rank = len(x.shape)
    *image, channels = x.shape[1:]
    order: tuple[int, ...] | None = None
    if x.axes == (0, rank - 1, *range(1, rank - 1)):
        order = (*image, channels) if prod(image) > 1 and channels > 1 else None
    else:
        x = tracing.plain(x)
    out = tracing.new(shape, order=order)
    return tracing.emit("flatten", (x,), out, "torch.flatten({0}, 1)")


def _image(tracing: Tracing, x: Value, shape: tuple[int, ...]) -> Value:
    height, width, channels = shape[1:]
    sizes = f"{channels}, {height}, {width}"
    if channels == 1 or height * width == 1 or x.order == (height, width, channels):
        out = tracing.new(shape, (0, 3, 1, 2))
        return tracing.emit("image", (x,), out, f"{{0}}.unflatten(1, ({sizes}))")
    x = tracing.plain(x)
    text = f"{{0}}.unflatten(1, ({height}, {width}, {channels}))"
    return tracing.emit("image", (x,), tracing.new(shape), text)


@rule("Transpose")
def transpose(tracing: Tracing, op: Operation) -> Value | None:
    """Nothing moves: the same tensor, read in another order of axes."""
    x = tracing.value(op.inputs[0])
    if x.order is not None:
        x = tracing.plain(x)
    order = [int(p) for p in tracing.constant(op.inputs[1])]
    axes = tuple(order.index(a) for a in x.axes)
    return Value(x.number, tuple(x.shape[p] for p in order), axes)


@rule("Squeeze")
def squeeze(tracing: Tracing, op: Operation) -> Value | None:
    """Axes of size 1 fall away."""
    x = tracing.value(op.inputs[0])
    given = op.attrs.get("squeeze_dims") or op.attrs.get("axis") or []
    gone = {d % len(x.shape) for d in given} or {i for i, s in enumerate(x.shape) if s == 1}
    out = _without(tracing, x, gone)
    text = "".join(f".squeeze({x.place(a)})" for a in sorted(gone, key=x.place, reverse=True))
    return tracing.emit("squeeze", (x,), out, "{0}" + text)


@rule("ExpandDims")
def expand(tracing: Tracing, op: Operation) -> Value | None:
    """One more axis of size 1; behind the channels where they stand first."""
    x = tracing.value(op.inputs[0])
    x = tracing.plain(x) if x.order is not None else x
    at = int(tracing.constant(op.inputs[1])) % (len(x.shape) + 1)
    shape = (*x.shape[:at], 1, *x.shape[at:])
    moved = [a + (a >= at) for a in x.axes]
    place = at if x.is_plain else 2
    axes = (*moved[:place], at, *moved[place:])
    return tracing.emit("expand", (x,), tracing.new(shape, axes), f"{{0}}.unsqueeze({place})")


@rule(*_REDUCTIONS)
def reduction(tracing: Tracing, op: Operation) -> Value | None:
    """A mean, sum or extreme over axes: global average pooling is one."""
    x = tracing.value(op.inputs[0])
    x = tracing.plain(x) if x.order is not None else x
    axes = {int(a) % len(x.shape) for a in tracing.constant(op.inputs[1]).reshape(-1)}
    keep = bool(op.attrs.get("keep_dims") or op.attrs.get("keepdims"))
    if op.type == "Prod" and len(axes) > 1:
        raise tracing.refuse(op, "it multiplies over several axes")
    places = sorted(x.place(a) for a in axes)
    dims = str(places[0]) if len(places) == 1 else f"({', '.join(map(str, places))})"
    if keep:
        shape = tuple(1 if i in axes else s for i, s in enumerate(x.shape))
        out = tracing.new(shape, x.axes)
    else:
        out = _without(tracing, x, axes)
    more = ", keepdim=True" if keep else ""
    return tracing.emit("reduce", (x,), out, f"{{0}}.{_REDUCTIONS[op.type]}(dim={dims}{more})")


@rule("ArgMax", "ArgMin")
def extreme(tracing: Tracing, op: Operation) -> Value | None:
    """The place of the largest or smallest value."""
    x = tracing.value(op.inputs[0])
    x = tracing.plain(x) if x.order is not None else x
    axis = int(tracing.constant(op.inputs[1])) % len(x.shape)
    out = _without(tracing, x, {axis})
    return tracing.emit("argmax", (x,), out, f"{{0}}.{op.type.lower()}(dim={x.place(axis)})")


@rule("Softmax", "LogSoftmax")
def softmax(tracing: Tracing, op: Operation) -> Value | None:
    """Over the graph's last axis."""
    x = tracing.value(op.inputs[0])
    name = "softmax" if op.type == "Softmax" else "log_softmax"
    return tracing.emit("softmax", (x,), tracing.like(x), f"torch.{name}({{0}}, dim={x.place(-1)})")


@rule("Pad", "PadV2", "MirrorPad")
def pad(tracing: Tracing, op: Operation) -> Value | None:
    """Zeros, a number, or a mirror image around the data."""
    x = tracing.value(op.inputs[0])
    x = tracing.plain(x) if x.order is not None else x
    pads = tracing.constant(op.inputs[1]).tolist()
    value = float(tracing.constant(op.inputs[2])) if op.type == "PadV2" else 0.0
    inner = [tuple(int(p) for p in pads[a]) for a in x.axes]
    out = tracing.new(tracing.shape(op.outputs[0]), x.axes)
    image = tuple((a, b) for a, b in inner[2:])
    if op.type != "MirrorPad" and not value and not any(map(any, inner[:2])) and len(image) == 2:
        (top, bottom), (left, right) = image
        call = Call("nn.ZeroPad2d", {"pad": (left, right, top, bottom)}, ("pad",))
        return tracing.layer("pad", x, out, call, pads=image)
    if op.type == "MirrorPad" and op.attrs["mode"] in ("SYMMETRIC", b"SYMMETRIC"):
        raise tracing.refuse(op, "torch has no padding that repeats the edge in its mirror image")
    while len(inner) > 1 and not any(inner[0]):
        inner = inner[1:]
    sides = ", ".join(str(p) for pair in reversed(inner) for p in pair)
    more = ', mode="reflect"' if op.type == "MirrorPad" else f", value={value}" * bool(value)
    return tracing.emit("padding", (x,), out, f"F.pad({{0}}, ({sides}){more})")


@rule("StridedSlice")
def strided_slice(tracing: Tracing, op: Operation) -> Value | None:
    """x[a:b:c, i, ...] with constant bounds."""
    if any(op.attrs.get(m) for m in ("ellipsis_mask", "new_axis_mask")):
        raise tracing.refuse(op, "it uses an ellipsis or a new axis")
    x = tracing.plain(tracing.value(op.inputs[0]))
    begin, end, steps = (tracing.constant(t).tolist() for t in op.inputs[1:])
    parts = []
    for axis, (a, b, c) in enumerate(zip(begin, end, steps, strict=True)):
        if c < 0:
            raise tracing.refuse(op, "it runs backwards")
        parts.append(_part(op, axis, a, b, c))
    out = tracing.new(tracing.shape(op.outputs[0]))
    return tracing.emit("slice", (x,), out, f"{{0}}[{', '.join(parts)}]")


def _part(op: Operation, axis: int, begin: int, end: int, step: int) -> str:
    bit = 1 << axis
    if op.attrs.get("shrink_axis_mask", 0) & bit:
        return str(begin)
    first = "" if op.attrs.get("begin_mask", 0) & bit or begin == 0 else str(begin)
    last = "" if op.attrs.get("end_mask", 0) & bit else str(end)
    return f"{first}:{last}" + (f":{step}" if step != 1 else "")


@rule("GatherV2", "Gather", "ResourceGather")
def embedding(tracing: Tracing, op: Operation) -> Value | None:
    """Rows of a table: an embedding."""
    if tracing.is_data(op.inputs[0]) or not tracing.is_data(op.inputs[1]):
        return None
    if op.type == "GatherV2" and int(tracing.constant(op.inputs[2])) != 0:
        raise tracing.refuse(op, "it gathers along another axis than the first")
    x, table = tracing.plain(tracing.value(op.inputs[1])), tracing.constant(op.inputs[0])
    if table.ndim != 2:
        raise tracing.refuse(op, "its table is no matrix")
    rows, columns = table.shape
    call = Call("nn.Embedding", {"rows": rows, "columns": columns}, ("rows", "columns"))
    out = tracing.new(tracing.shape(op.outputs[0]))
    owners = {"weight": tracing.owner(op.inputs[0])}
    return tracing.layer("embedding", x, out, call, tensors={"weight": table}, owners=owners)


def _without(tracing: Tracing, x: Value, gone: set[int]) -> Value:
    """``x`` less some of the graph's axes."""
    kept = [a for a in range(len(x.shape)) if a not in gone]
    axes = tuple(kept.index(a) for a in x.axes if a in kept)
    return tracing.new(tuple(x.shape[a] for a in kept), axes)
