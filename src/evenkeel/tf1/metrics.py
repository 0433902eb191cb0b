"""``tf.metrics``: values over many runs, kept in local variables; each is (value, update)."""

from typing import Any

from evenkeel.tf1.api import arrays, reductions
from evenkeel.tf1.api.constants import zeros
from evenkeel.tf1.api.framework import add_to_collections
from evenkeel.tf1.api.math import cast, div_no_nan
from evenkeel.tf1.api.state import assign_add
from evenkeel.tf1.api.variable_scopes import variable_scope
from evenkeel.tf1.build import apply, convert
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.dtypes import float32
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.variables import Variable
from evenkeel.tf1.weights import broadcast_weights

__all__ = [
    "accuracy", "false_negatives", "false_positives", "mean", "mean_absolute_error",
    "mean_squared_error", "precision", "recall", "root_mean_squared_error", "true_negatives",
    "true_positives",
]  # fmt: skip


def metric_variable(shape: Any, dtype: Any, name: str) -> Any:
    """A local variable of a metric, which starts at zero."""
    return Variable(
        lambda: zeros(shape, dtype), trainable=False,
        collections=[GraphKeys.LOCAL_VARIABLES, GraphKeys.METRIC_VARIABLES], name=name,
    )  # fmt: skip


def _finished(value: Any, update: Any, metrics: Any, updates: Any) -> tuple[Any, Any]:
    if metrics:
        add_to_collections(metrics, value)
    if updates:
        add_to_collections(updates, update)
    return value, update


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
            factor = cast(weights, float32)
            wide = broadcast_weights(factor, found)
            found = apply("Mul", found, wide)
            number = reductions.reduce_sum(wide)
        add_total = assign_add(total, reductions.reduce_sum(found))
        with get_default_graph().control_dependencies([found]):
            add_count = assign_add(count, number)
        value = div_no_nan(total, apply("Maximum", count, 0.0), name="value")
        update = div_no_nan(add_total, apply("Maximum", add_count, 0.0), name="update_op")
        return _finished(value, update, metrics_collections, updates_collections)


def accuracy(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """How often predictions were labels."""
    guessed, right = convert(predictions), convert(labels)
    guessed.shape.assert_is_compatible_with(right.shape)
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
    return _finished(*roots, metrics_collections, updates_collections)


def _counted(name: str, label: bool, guess: bool) -> Any:
    def count(
        labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
        updates_collections: Any = None, name: Any = name,
    ) -> Any:  # fmt: skip
        with variable_scope(name, name, (predictions, labels, weights)):
            right, guessed = cast(labels, "bool"), cast(predictions, "bool")
            one = right if label else apply("LogicalNot", right)
            two = guessed if guess else apply("LogicalNot", guessed)
            hits = cast(apply("LogicalAnd", one, two), float32)
            hits = hits if weights is None else hits * cast(weights, float32)
            kept = metric_variable([], float32, "count")
            update = assign_add(kept, reductions.reduce_sum(hits))
            value = apply("Identity", kept)
            return _finished(value, update, metrics_collections, updates_collections)

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
            return _finished(value, update, metrics_collections, updates_collections)

    share.__doc__ = f"The {default} so far."
    share.__name__ = share.__qualname__ = default
    return share


precision, recall = _share("precision", false_positives), _share("recall", false_negatives)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.metrics.{name}", __all__)
