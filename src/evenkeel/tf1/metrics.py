"""``tf.metrics``: values over many runs, kept in local variables; each is (value, update)."""

from typing import Any

from evenkeel.tf1.api import arrays, reductions
from evenkeel.tf1.api.constants import ones_like, zeros_like
from evenkeel.tf1.api.math import cast, div_no_nan
from evenkeel.tf1.api.state import assign_add
from evenkeel.tf1.api.variable_scopes import variable_scope
from evenkeel.tf1.build import apply
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.dtypes import float32
from evenkeel.tf1.metric_classes import *  # noqa: F403  # every name of theirs is tf.metrics'
from evenkeel.tf1.metric_classes import __all__ as classes
from evenkeel.tf1.metric_state import finished, metric_variable
from evenkeel.tf1.metric_thresholds import *  # noqa: F403
from evenkeel.tf1.metric_thresholds import __all__ as thresholds
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.weights import broadcast_weights, matched

__all__ = [
    "accuracy", "false_negatives", "false_positives", "mean", "mean_absolute_error",
    "mean_cosine_distance", "mean_relative_error", "mean_squared_error", "mean_tensor",
    "percentage_below", "precision", "recall", "root_mean_squared_error", "true_negatives",
    "true_positives", *classes, *thresholds,
]  # fmt: skip


def mean(
    values: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """The mean of all values so far."""
    with variable_scope(name, "mean", (values, weights)):
        found = cast(values, float32)
        total, count = metric_variable([], float32, "total"), metric_variable([], float32, "count")
        if weights is None:
            number: Any = cast(arrays.size(found), float32)
        else:
            found, _, factor = matched(found, None, weights)
            wide = broadcast_weights(cast(factor, float32), found)
            found = apply("Mul", found, wide)
            number = reductions.reduce_sum(wide)
        add_total = assign_add(total, reductions.reduce_sum(found))
        with get_default_graph().control_dependencies([found]):
            add_count = assign_add(count, number)
        value = div_no_nan(total, apply("Maximum", count, 0.0), name="value")
        update = div_no_nan(add_total, apply("Maximum", add_count, 0.0), name="update_op")
        return finished(value, update, metrics_collections, updates_collections)


def accuracy(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """How often predictions were labels."""
    guessed, right, weights = matched(predictions, labels, weights)
    if right.dtype.base_dtype != guessed.dtype.base_dtype:
        guessed = cast(guessed, right.dtype.base_dtype)
    hits = apply("Equal", guessed, right)
    hits = cast(hits, float32)
    return mean(hits, weights, metrics_collections, updates_collections, name or "accuracy")


def mean_squared_error(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """The mean square of the differences so far."""
    errors = apply("SquaredDifference", cast(labels, float32), cast(predictions, float32))
    return mean(
        errors, weights, metrics_collections, updates_collections, name or "mean_squared_error"
    )


def mean_absolute_error(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """The mean size of the differences so far."""
    errors = apply("Abs", apply("Sub", cast(predictions, float32), cast(labels, float32)))
    return mean(
        errors, weights, metrics_collections, updates_collections, name or "mean_absolute_error"
    )


def root_mean_squared_error(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """The root of the mean square of the differences so far."""
    value, update = mean_squared_error(
        labels, predictions, weights, None, None, name or "root_mean_squared_error"
    )
    roots = apply("Sqrt", value), apply("Sqrt", update)
    return finished(*roots, metrics_collections, updates_collections)


def mean_relative_error(
    labels: Any, predictions: Any, normalizer: Any, weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """The mean size of the differences over ``normalizer`` so far; 0 where that is 0."""
    right, guessed = cast(labels, float32), cast(predictions, float32)
    scale = cast(normalizer, float32)
    errors = apply("RealDiv", apply("Abs", apply("Sub", right, guessed)), scale)
    errors = apply("Select", apply("Equal", scale, 0.0), zeros_like(right), errors)
    given = metrics_collections, updates_collections
    return mean(errors, weights, *given, name or "mean_relative_error")


def mean_cosine_distance(
    labels: Any, predictions: Any, dim: int, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """1 − the mean of the products of unit vectors so far."""
    products = apply("Mul", cast(predictions, float32), cast(labels, float32))
    cosines = reductions.reduce_sum(products, [dim], keepdims=True)
    value, update = mean(cosines, weights, None, None, name or "mean_cosine_distance")
    return finished(1.0 - value, 1.0 - update, metrics_collections, updates_collections)


def percentage_below(
    values: Any, threshold: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """The share of values under a threshold so far."""
    below = cast(apply("Less", values, threshold), float32)
    given = metrics_collections, updates_collections
    return mean(below, weights, *given, name or "percentage_below_threshold")


def mean_tensor(
    values: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """The mean of each element so far."""
    with variable_scope(name, "mean", (values, weights)):
        found = cast(values, float32)
        total = metric_variable(found.shape, float32, "total_tensor")
        count = metric_variable(found.shape, float32, "count_tensor")
        number = ones_like(found)
        if weights is not None:
            factor = broadcast_weights(cast(weights, float32), found)
            found, number = apply("Mul", found, factor), apply("Mul", number, factor)
        add_total = assign_add(total, found)
        with get_default_graph().control_dependencies([found]):
            add_count = assign_add(count, number)
        value = div_no_nan(total, apply("Maximum", count, 0.0), name="value")
        update = div_no_nan(add_total, apply("Maximum", add_count, 0.0), name="update_op")
        return finished(value, update, metrics_collections, updates_collections)


def _counted(name: str, label: bool, guess: bool) -> Any:
    def count(
        labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
        updates_collections: Any = None, name: Any = name,
    ) -> Any:  # fmt: skip
        with variable_scope(name, name, (predictions, labels, weights)):
            given = cast(predictions, "bool"), cast(labels, "bool")
            guessed, right, factor = matched(*given, weights)
            one = right if label else apply("LogicalNot", right)
            two = guessed if guess else apply("LogicalNot", guessed)
            hits = cast(apply("LogicalAnd", one, two), float32)
            hits = hits if factor is None else hits * cast(factor, float32)
            kept = metric_variable([], float32, "count")
            update = assign_add(kept, reductions.reduce_sum(hits))
            value = apply("Identity", kept)
            return finished(value, update, metrics_collections, updates_collections)

    count.__doc__ = f"How many {name.replace('_', ' ')} so far."
    count.__name__ = count.__qualname__ = name
    return count


true_positives = _counted("true_positives", label=True, guess=True)
false_positives = _counted("false_positives", label=False, guess=True)
true_negatives = _counted("true_negatives", label=False, guess=False)
false_negatives = _counted("false_negatives", label=True, guess=False)


def _share(default: str, other: Any) -> Any:
    def share(
        labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
        updates_collections: Any = None, name: Any = None,
    ) -> Any:  # fmt: skip
        with variable_scope(name, default, (predictions, labels, weights)):
            hit, add_hit = true_positives(labels, predictions, weights)
            miss, add_miss = other(labels, predictions, weights)
            value = div_no_nan(hit, hit + miss, name="value")
            update = div_no_nan(add_hit, add_hit + add_miss, name="update_op")
            return finished(value, update, metrics_collections, updates_collections)

    share.__doc__ = f"The {default} so far."
    share.__name__ = share.__qualname__ = default
    return share


precision, recall = _share("precision", false_positives), _share("recall", false_negatives)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.metrics.{name}", __all__)
