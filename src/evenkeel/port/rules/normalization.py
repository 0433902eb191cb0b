"""Batch normalization in every form that programs of TensorFlow 1 write it; local response too."""

from dataclasses import dataclass

import numpy as np

from evenkeel.port.rules.arithmetic import tidy
from evenkeel.port.steps import Array, Call, Value, features_last
from evenkeel.port.tracing import Tracing, pattern, rule
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops.windows import is_channels_first

_DEFAULTS = {
    "track_running_stats": True,
    "channel_axis": 1,
    "center": True,
    "scale": True,
    "activation": None,
    "running_var": "unbiased",
}


@dataclass(frozen=True)
class _Found:
    """The tensors of one batch normalization; mean and var None where it is the batch's own."""

    x: Tensor
    gamma: Tensor | None
    beta: Tensor | None
    mean: Tensor | None
    var: Tensor | None
    eps: float
    axes: tuple[int, ...] = (-1,)


@rule("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def fused(tracing: Tracing, op: Operation) -> Value | None:
    """The fused node: gamma and beta always, ones and zeros where the layer has none."""
    x, gamma, beta, mean, var = op.inputs
    own = bool(op.attrs["is_training"])
    axes = (1 if is_channels_first(op.attrs["data_format"]) else -1,)
    eps = float(op.attrs["epsilon"])
    found = _Found(x, gamma, beta, None if own else mean, None if own else var, eps, axes)
    return _layer(tracing, op, found)


@rule("BatchNormWithGlobalNormalization")
def by_global_normalization(tracing: Tracing, op: Operation) -> Value | None:
    """The node of the first TensorFlow programs."""
    x, mean, var, beta, gamma = op.inputs
    scale = gamma if op.attrs["scale_after_normalization"] else None
    return _layer(
        tracing, op, _Found(x, scale, beta, mean, var, float(op.attrs["variance_epsilon"]))
    )


@pattern("Add", "AddV2")
def unfused(tracing: Tracing, op: Operation) -> Value | None:
    """tf.nn.batch_normalization: x · a + (beta − mean · a), with a = rsqrt(var + eps) · gamma."""
    read = tracing.reading
    for product, shift in (read.inputs(op), read.inputs(op)[::-1]):
        if product.op.type != "Mul":
            continue
        for x, scale in _both_ways(product.op):
            factor = read.through(scale)
            found = _factor(tracing, factor)
            moved = _shift(tracing, shift, factor)
            if found is not None and moved is not None:
                return _layer(tracing, op, _checked(tracing, op, x, *moved, found))
    return None


def _shift(tracing: Tracing, shift: Tensor, factor: Tensor) -> tuple[Tensor, Tensor | None] | None:
    """(mean, beta) of beta − mean · factor, or of −mean · factor where there is no beta."""
    read = tracing.reading
    beta, product = None, shift
    if shift.op.type == "Sub":
        beta, product = shift.op.inputs[0], read.through(shift.op.inputs[1])
    if product.op.type != "Mul" or factor not in read.inputs(product.op):
        return None
    mean: Tensor = next(t for t in product.op.inputs if read.through(t) is not factor)
    if beta is not None:
        return mean, beta
    negated = read.through(mean)
    return (negated.op.inputs[0], None) if negated.op.type == "Neg" else None


@pattern("RealDiv", "Mul")
def by_hand(tracing: Tracing, op: Operation) -> Value | None:
    """(x − mean) / sqrt(var + eps), as people write it themselves; gamma and beta follow it."""
    read = tracing.reading
    for centred, scale in _both_ways(op) if op.type == "Mul" else (tuple(op.inputs),):
        kind = "Rsqrt" if op.type == "Mul" else "Sqrt"
        difference, root = read.through(centred), read.through(scale)
        if difference.op.type != "Sub" or root.op.type != kind:
            continue
        x, mean = difference.op.inputs
        total = _sum(tracing, root.op.inputs[0])
        if total is not None and tracing.is_data(x):
            return _layer(tracing, op, _checked(tracing, op, x, mean, None, (None, *total)))
    return None


def _both_ways(op: Operation) -> tuple[tuple[Tensor, Tensor], ...]:
    first, second = op.inputs
    return (first, second), (second, first)


def _factor(tracing: Tracing, factor: Tensor) -> tuple[Tensor | None, Tensor, float] | None:
    """(gamma, var, eps) of rsqrt(var + eps), with or without · gamma."""
    read = tracing.reading
    if factor.op.type == "Rsqrt":
        total = _sum(tracing, factor.op.inputs[0])
        return None if total is None else (None, *total)
    if factor.op.type != "Mul":
        return None
    for root, gamma in _both_ways(factor.op):
        if read.through(root).op.type == "Rsqrt" and not tracing.is_data(gamma):
            total = _sum(tracing, read.through(root).op.inputs[0])
            return None if total is None else (gamma, *total)
    return None


def _sum(tracing: Tracing, tensor: Tensor) -> tuple[Tensor, float] | None:
    """(var, eps) of var + eps."""
    op = tracing.reading.through(tensor).op
    if op.type not in ("Add", "AddV2"):
        return None
    for var, eps in _both_ways(op):
        if not tracing.is_data(eps) and tracing.constant(eps).size == 1:
            return var, float(tracing.constant(eps))
    return None


def _checked(
    tracing: Tracing, op: Operation, x: Tensor, mean: Tensor, beta: Tensor | None,
    found: tuple[Tensor | None, Tensor, float],
) -> _Found:  # fmt: skip
    """The channel axis, by the shape of the statistics; and whether they are the batch's own."""
    gamma, var, eps = found
    sizes = tracing.reading.of(x).shape
    shape = tuple(tracing.reading.of(mean).shape)
    shape = (1,) * (len(sizes) - len(shape)) + shape
    along = tuple(a for a, s in enumerate(shape) if s > 1) or (len(sizes) - 1,)
    if 0 in along or any(shape[a] not in (1, sizes[a]) for a in along):
        raise tracing.refuse(op, f"its statistics have shape {shape}, not one number a channel")
    if not tracing.is_data(mean):
        return _Found(x, gamma, beta, mean, var, eps, along)
    values = tracing.reading.of(x).double()
    others = [a for a in range(values.ndim) if a not in along]
    own = values.var(dim=others, correction=0).reshape(-1)
    got = tracing.reading.of(var).double().reshape(-1)
    if not bool((own - got).abs().max() <= 1e-4 * own.abs().max() + 1e-12):
        raise tracing.refuse(op, "it normalizes by something else than the batch's statistics")
    return _Found(x, gamma, beta, None, None, eps, along)


def _layer(tracing: Tracing, op: Operation, found: _Found) -> Value:
    source = _rank_two(tracing, found)
    x = tracing.value(source if source is not None else found.x)
    x, features, place = _laid_out(tracing, x, (1,) if source is not None else found.axes)
    tensors, owners = _tensors(tracing, found, x, features)
    name = {2: "1d", 3: "1d", 4: "2d", 5: "3d"}[len(x.shape)]
    arguments = {
        "features": features if len(features) > 1 else features[0],
        "eps": tidy(found.eps),
        "momentum": 0.1,  # measured afterwards
        "track_running_stats": found.mean is not None,
        "channel_axis": place if len(place) > 1 else place[0],
        "center": "bias" in tensors,
        "scale": "weight" in tensors,
        "activation": None,
        "running_var": "unbiased" if op.type.startswith("Fused") else "biased",
    }
    call = Call(f"BatchNorm{name}", arguments, ("features",), _DEFAULTS)
    at = f"{op.type} {op.name!r} {op.origin}"
    out = tracing.layer(
        "norm", x, tracing.like(x), call, tensors=tensors, owners=owners, at=at,
        source=tracing.reading.outside(found.x), axes=found.axes, order=x.order,
    )  # fmt: skip
    if source is None:
        return out
    wide = tracing.new((x.shape[0], 1, 1, *features), (0, 3, 1, 2))
    tracing.flat[wide.number] = out
    return tracing.emit("image", (out,), wide, "{0}[:, :, None, None]")


def _laid_out(
    tracing: Tracing, x: Value, axes: tuple[int, ...]
) -> tuple[Value, tuple[int, ...], tuple[int, ...]]:
    """The input as the layer takes it, sizes of its channel axes, and where the module has them."""
    rank = len(x.shape)
    if len(axes) > 1:  # parameters stand in the graph's order of axes
        return tracing.plain(x), tuple(x.shape[a] for a in axes), axes
    (axis,) = axes
    if rank > 3 and axis % rank == rank - 1:
        x = tracing.channels_first(x)
    place = x.place(axis)
    if x.order is not None and place != 1:
        x = tracing.plain(x)
    return x, (x.shape[axis],), (place,)


def _rank_two(tracing: Tracing, found: _Found) -> Tensor | None:
    """[N, C] behind [N, 1, 1, C]: contrib's way to bring a dense layer to the fused node."""
    made = tracing.reading.through(found.x)
    sizes = tracing.reading.of(made).shape
    if made.op.type != "Reshape" or len(sizes) != 4 or tuple(sizes[1:3]) != (1, 1):
        return None
    before: Tensor = made.op.inputs[0]
    return before if len(tracing.reading.of(before).shape) == 2 else None


def _tensors(
    tracing: Tracing, found: _Found, x: Value, features: tuple[int, ...]
) -> tuple[dict[str, Array], dict[str, str]]:
    named = {
        "weight": found.gamma,
        "bias": found.beta,
        "running_mean": found.mean,
        "running_var": found.var,
    }
    tensors, owners = {}, {}
    for (name, tensor), neutral in zip(named.items(), (1, 0, None, None), strict=True):
        if tensor is None or (neutral is not None and _is_absent(tracing, tensor, neutral)):
            continue
        values = tracing.constant(tensor)
        values = values.reshape(features if values.size > 1 else (1,))
        vector = np.ascontiguousarray(np.broadcast_to(values, features))
        tensors[name] = features_last(vector, x.order)
        owners[name] = tracing.owner(tensor)
    if found.mean is not None:
        tensors["num_batches_tracked"] = np.array(0, np.int64)
    return tensors, owners


def _is_absent(tracing: Tracing, tensor: Tensor, neutral: int) -> bool:
    """Whether it is a constant one or zero that stands for a gamma or beta that is not there."""
    made = tracing.reading.through(tensor)
    return made.op.type in ("Const", "Fill") and bool((tracing.constant(tensor) == neutral).all())


@rule("LRN")
def response(tracing: Tracing, op: Operation) -> Value | None:
    """LocalResponseNorm, which divides alpha by its size."""
    x = tracing.channels_first(tracing.value(op.inputs[0]))
    size = 2 * int(op.attrs["depth_radius"]) + 1
    arguments = {
        "size": size,
        "alpha": tidy(float(op.attrs["alpha"]) * size),
        "beta": tidy(op.attrs["beta"]),
        "k": tidy(op.attrs["bias"]),
    }
    call = Call("nn.LocalResponseNorm", arguments, ("size",), {})
    return tracing.layer("response", x, tracing.like(x), call)
