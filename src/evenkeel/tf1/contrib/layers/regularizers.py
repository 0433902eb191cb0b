"""Costs of weights."""

import numbers
from typing import Any

from evenkeel.tf1.api.math import add_n
from evenkeel.tf1.api.reductions import reduce_sum
from evenkeel.tf1.build import apply, constant, convert, name_scope
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph


def _checked(scale: Any) -> None:
    if isinstance(scale, numbers.Integral):
        raise ValueError(f"scale cannot be an integer: {scale}")  # noqa: TRY004  # TensorFlow's
    if isinstance(scale, numbers.Real) and scale < 0.0:
        raise ValueError(f"Setting a scale less than 0 on a regularizer: {scale:g}.")


def _scaled(name: str, cost: Any) -> Any:
    def regularizer_of(scale: Any, scope: Any = None) -> Any:
        _checked(scale)
        if isinstance(scale, numbers.Real) and scale == 0.0:
            return lambda _: None

        def regularizer(weights: Any) -> Any:
            with name_scope(scope, name, [weights]) as own:
                factor = convert(scale, weights.dtype.base_dtype, name="scale")
                return apply("Mul", factor, cost(weights), name=own)

        return regularizer

    regularizer_of.__doc__ = f"{name}: a cost of weights."
    regularizer_of.__name__ = regularizer_of.__qualname__ = name
    return regularizer_of


l1_regularizer = _scaled("l1_regularizer", lambda w: reduce_sum(apply("Abs", w)))
l2_regularizer = _scaled("l2_regularizer", lambda w: apply("L2Loss", w))


def l1_l2_regularizer(scale_l1: Any = 1.0, scale_l2: Any = 1.0, scope: Any = None) -> Any:
    """The sum of both."""
    for scale in (scale_l1, scale_l2):
        _checked(scale)
    chosen = scope or "l1_l2_regularizer"
    if scale_l1 == 0.0:
        return l2_regularizer(scale_l2, chosen)
    if scale_l2 == 0.0:
        return l1_regularizer(scale_l1, chosen)
    return sum_regularizer([l1_regularizer(scale_l1), l2_regularizer(scale_l2)], scope=chosen)


def sum_regularizer(regularizer_list: Any, scope: Any = None) -> Any:
    """The sum of several costs."""
    chosen = [r for r in regularizer_list if r is not None]
    if not chosen:
        return None

    def regularizer(weights: Any) -> Any:
        with name_scope(scope, "sum_regularizer", [weights]) as own:
            costs = [c for c in (r(weights) for r in chosen) if c is not None]
            return add_n(costs, name=own) if costs else None

    return regularizer


def apply_regularization(regularizer: Any, weights_list: Any = None) -> Any:
    """The sum of the costs of weights, which joins REGULARIZATION_LOSSES."""
    graph = get_default_graph()
    weights = weights_list or graph.get_collection(GraphKeys.WEIGHTS)
    if not weights:
        raise ValueError("No weights to regularize.")
    with name_scope("get_regularization_penalty", values=weights) as scope:
        costs = [regularizer(w) for w in weights]
        costs = [constant(0.0) if c is None else c for c in costs]
        total = add_n(costs, name=scope)
        graph.add_to_collection(GraphKeys.REGULARIZATION_LOSSES, total)
        return total
