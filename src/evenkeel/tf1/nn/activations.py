"""Activations, biases, softmax, dropout."""

import numbers
from typing import Any

from evenkeel.tf1 import build
from evenkeel.tf1.api import arrays, reductions
from evenkeel.tf1.api.constants import range as counting
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.random import random_uniform
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.fold import constant_value
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import TensorShape

__all__ = [
    "bias_add", "crelu", "dropout", "elu", "l2_loss", "l2_normalize", "leaky_relu", "log_softmax",
    "relu", "relu6", "relu_layer", "selu", "sigmoid", "softmax", "softplus", "softsign", "swish",
    "tanh", "xw_plus_b", "zero_fraction",
]  # fmt: skip


def _plain(kind: str, attr: str = "features") -> Any:
    def activation(features: Any, name: str | None = None, **given: Any) -> Any:
        return apply(kind, features, name=name)

    activation.__doc__ = f"{kind} of each value."
    activation.__name__ = activation.__qualname__ = kind.lower()
    return activation


relu, elu, selu = _plain("Relu"), _plain("Elu"), _plain("Selu")
relu6, softplus, softsign = _plain("Relu6"), _plain("Softplus"), _plain("Softsign")


def _named(kind: str) -> Any:
    def activation(x: Any, name: str | None = None) -> Any:
        with name_scope(name, kind, [x]) as scope:
            return apply(kind, convert(x, name="x"), name=scope)

    activation.__doc__ = f"{kind} of each value."
    activation.__name__ = activation.__qualname__ = kind.lower()
    return activation


sigmoid = _named("Sigmoid")


def tanh(x: Any, name: str | None = None) -> Any:
    """The hyperbolic tangent of each value."""
    return apply("Tanh", x, name=name)


def leaky_relu(features: Any, alpha: Any = 0.2, name: str | None = None) -> Any:
    """The value where it is positive, else alpha times the value."""
    with name_scope(name, "LeakyRelu", [features, alpha]) as scope:
        source = convert(features, name="features")
        if source.dtype.is_integer:
            source = cast(source, "float32")
        slope = alpha.item() if hasattr(alpha, "item") else alpha
        return apply("LeakyRelu", source, alpha=slope, name=scope)


def swish(features: Any) -> Any:
    """The value times its sigmoid."""
    source = convert(features, name="features")
    made = source * sigmoid(source)
    apply("Identity", made)
    return apply("IdentityN", [made, source])[0]  # TensorFlow hangs a gradient of its own on it


def crelu(features: Any, name: str | None = None, axis: int = -1) -> Any:
    """The positive parts of the values and of their negatives, side by side."""
    with name_scope(name, "CRelu", [features]) as scope:
        source = convert(features, name="features")
        return relu(arrays.concat([source, apply("Neg", source)], axis, name=scope))


def _soft(kind: str, default: str) -> Any:
    def activation(logits: Any, axis: Any = None, name: Any = None, dim: Any = None) -> Any:
        chosen = dim if axis is None else axis
        return _along(kind, convert(logits), -1 if chosen is None else chosen, name)

    activation.__doc__ = f"{kind} along an axis, the last unless another is named."
    activation.__name__ = activation.__qualname__ = default
    return activation


def _along(kind: str, logits: Tensor, axis: int, name: str | None) -> Any:
    rank = logits.shape.ndims
    if axis == -1 or (rank is not None and axis == rank - 1):
        return apply(kind, logits, name=name)
    if rank is not None and not -rank <= axis < rank:
        raise ValueError(
            f"`dim` must be in the range [{-rank}, {rank}) where {rank} is the number of dimensions "
            f"in the input. Received: dim={axis}"
        )
    arrays.rank(logits)  # TensorFlow asks twice
    count = arrays.rank(logits)
    place = axis % rank if rank is not None else axis
    turned = apply("Transpose", logits, _swapped(place, count), name="transpose")
    made = apply("Transpose", apply(kind, turned), _swapped(place, count), name=name or "transpose")
    made.set_shape(logits.shape)
    return made


def _swapped(axis: int, count: Tensor) -> Any:
    """The order of axes with this one and the last exchanged."""
    last = apply("Sub", count, 1)
    return arrays.concat([counting(axis), [last], counting(axis + 1, last), [axis]], 0)


softmax, log_softmax = _soft("Softmax", "softmax"), _soft("LogSoftmax", "log_softmax")


def bias_add(value: Any, bias: Any, data_format: Any = None, name: str | None = None) -> Any:
    """The value plus one number for each channel."""
    known = {None: "NHWC", "NHWC": "NHWC", "NCHW": "NCHW"}
    if data_format is not None:
        known |= {data_format: "NCHW" if str(data_format).startswith("NC") else "NHWC"}
    with name_scope(name, "BiasAdd", [value, bias]) as scope:
        source = convert(value, name="input")
        vector = convert(bias, source.dtype.base_dtype, name="bias")
        return apply("BiasAdd", source, vector, data_format=known[data_format], name=scope)


def l2_loss(t: Any, name: str | None = None) -> Any:
    """Half of the sum of squares."""
    return apply("L2Loss", t, name=name)


def l2_normalize(
    x: Any, axis: Any = None, epsilon: float = 1e-12, name: Any = None, dim: Any = None
) -> Any:
    """The value at Euclidean length 1."""
    chosen = dim if axis is None else axis
    with name_scope(name, "l2_normalize", [x]) as scope:
        source = convert(x, name="x")
        total = reductions.reduce_sum(apply("Square", source), chosen, keepdims=True)
        inverse = apply("Rsqrt", apply("Maximum", total, epsilon))
        return apply("Mul", source, inverse, name=scope)


def xw_plus_b(x: Any, weights: Any, biases: Any, name: str | None = None) -> Any:
    """The product of x and the weights, plus the biases."""
    with name_scope(name, "xw_plus_b", [x, weights, biases]) as scope:
        source, matrix = convert(x, name="x"), convert(weights, name="weights")
        vector = convert(biases, name="biases")
        return bias_add(apply("MatMul", source, matrix), vector, name=scope)


def relu_layer(x: Any, weights: Any, biases: Any, name: str | None = None) -> Any:
    """Relu of the product of x and the weights, plus the biases."""
    with name_scope(name, "relu_layer", [x, weights, biases]) as scope:
        source, matrix = convert(x, name="x"), convert(weights, name="weights")
        vector = convert(biases, name="biases")
        return relu(bias_add(apply("MatMul", source, matrix), vector), name=scope)


def zero_fraction(value: Any, name: str | None = None) -> Any:
    """The share of zeros."""
    from evenkeel.tf1.api.control import cond

    with name_scope(name, "zero_fraction", [value]):
        source = convert(value, name="value")
        size = arrays.size(source, out_type="int64")
        largest = 2**31 - 1

        def count(kind: str) -> Any:
            with name_scope("count_nonzero"):
                zero = build.constant(0, source.dtype.base_dtype, name="zeros")
                whole = cast(apply("NotEqual", source, zero), kind)
                return reductions.reduce_sum(whole, name="nonzero_count")

        present = cond(
            apply("LessEqual", size, largest),
            lambda: cast(count("int32"), "int64"),
            lambda: count("int64"),
        )
        with name_scope("counts_to_fraction"):
            missing = size - present
            share = cast(missing, "float32") / cast(size, "float32")
        return apply("Identity", share, name="fraction")


def dropout(
    x: Any, keep_prob: Any = None, noise_shape: Any = None, seed: Any = None, name: Any = None,
    rate: Any = None,
) -> Any:  # fmt: skip
    """Zeros in the place of a share ``rate`` of the values, the rest larger by 1 / (1 − rate)."""
    chosen = _rate(keep_prob, rate)
    if chosen is None:
        raise ValueError("You must provide a rate to dropout.")
    with name_scope(name, "dropout", [x]):
        source = convert(x, name="x")
        if not source.dtype.is_floating:
            raise ValueError(
                "x has to be a floating point tensor since it's going to be scaled. Got a "
                f"{source.dtype} tensor instead."
            )
        if isinstance(chosen, numbers.Real):
            if not 0 <= float(chosen) < 1:
                raise ValueError(
                    "rate must be a scalar tensor or a float in the range [0, 1), got "
                    f"{float(chosen):g}"
                )
            if chosen == 0:
                return source
        share = convert(chosen, source.dtype.base_dtype, name="rate")
        share.shape.assert_is_compatible_with(TensorShape([]))
        if constant_value(share) == 0:
            return source
        sizes = _noise(source, noise_shape)
        drawn = random_uniform(sizes, seed=seed, dtype=source.dtype.base_dtype)
        scale = 1 / (1 - share)
        kept = drawn >= share
        made = source * scale * cast(kept, source.dtype.base_dtype)
        made.set_shape(source.shape)
        return made


def _rate(keep_prob: Any, rate: Any) -> Any:
    if keep_prob is None:
        return rate
    if rate is not None:
        raise ValueError("Cannot specify both 'rate' and 'keep_prob'")
    return 1 - keep_prob


def _noise(x: Tensor, noise_shape: Any) -> Any:
    """The shape of what is drawn: that of x where an entry says nothing."""
    if noise_shape is None:
        return arrays.shape(x)
    try:
        sizes = TensorShape(noise_shape)
    except (AttributeError, TypeError, ValueError):
        return noise_shape
    if x.shape.ndims is not None and sizes.ndims == x.shape.ndims:
        pairs = zip(sizes.sizes, x.shape.sizes, strict=True)
        return TensorShape([b if a is None else a for a, b in pairs])
    return noise_shape
