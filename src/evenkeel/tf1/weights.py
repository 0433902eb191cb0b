"""Weights that spread over values: the checks that TensorFlow makes where sizes are known."""

from typing import Any

from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.constants import ones_like
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.control_ops import no_op
from evenkeel.tf1.stacks import get_default_graph


def assert_broadcastable(weights: Any, values: Any) -> Any:
    """A node that later ones wait for; ValueError where sizes that are known do not fit.

    Where sizes are unknown TensorFlow checks them in the run; here the product itself does.
    """
    with name_scope(None, "assert_broadcastable", [weights, values]):
        found = convert(weights, name="weights")
        arrays.shape(found, name="weights/shape")
        arrays.rank(found, name="weights/rank")
        source = convert(values, name="values")
        arrays.shape(source, name="values/shape")
        arrays.rank(source, name="values/rank")
        if found.shape.ndims == 0:
            return no_op(name="static_scalar_check_success")
        _check(found, source)
        return no_op(name="static_dims_check_success")


def _check(weights: Any, values: Any) -> None:
    ranks = weights.shape.ndims, values.shape.ndims
    if None in ranks:
        return
    start = f"weights can not be broadcast to values. values.shape={values.shape}."
    if ranks[0] != ranks[1]:
        raise ValueError(
            f"{start} values.rank={ranks[1]}. weights.rank={ranks[0]}. weights.shape="
            f"{weights.shape}."
        )
    for one, other in zip(weights.shape.sizes, values.shape.sizes, strict=True):
        if one not in (1, other, None) and other is not None:
            raise ValueError(f"{start} weights.shape={weights.shape}.")


def matched(predictions: Any, labels: Any, weights: Any = None) -> tuple[Any, Any, Any]:
    """(predictions, labels, weights) without a last axis of 1 that only one of them has."""
    guessed = convert(predictions)
    if labels is not None:
        with name_scope(None, "remove_squeezable_dimensions", [labels, guessed]):
            labels = convert(labels)
            guessed, labels = _narrowed(guessed, labels), _narrowed(labels, guessed)
        guessed.shape.assert_is_compatible_with(labels.shape)
    if weights is None:
        return guessed, labels, None
    factor = convert(weights)
    if factor.shape.ndims and guessed.shape.ndims == factor.shape.ndims + 1:
        return guessed, labels, arrays.expand_dims(factor, [-1])
    return guessed, labels, _narrowed(factor, guessed) if factor.shape.ndims else factor


def _narrowed(value: Any, like: Any) -> Any:
    """Without the last axis, where it has one more than ``like``."""
    ranks = value.shape.ndims, like.shape.ndims
    more = None not in ranks and ranks[0] == ranks[1] + 1
    return arrays.squeeze(value, [-1]) if more else value


def broadcast_weights(weights: Any, values: Any) -> Any:
    """The weights, one for each value."""
    with name_scope(None, "broadcast_weights", [weights, values]) as scope:
        found, source = convert(weights, name="weights"), convert(values, name="values")
        if found.shape.is_fully_defined() and found.shape == source.shape:
            return found
        with get_default_graph().control_dependencies([assert_broadcastable(found, source)]):
            return apply("Mul", found, ones_like(source), name=scope)
