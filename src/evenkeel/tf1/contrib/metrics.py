"""``tf.contrib.metrics``: the older names of ``tf.metrics``, whose predictions come first."""

from typing import Any

from evenkeel.tf1 import metrics
from evenkeel.tf1.api import reductions
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.build import apply, name_scope
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.dtypes import float32
from evenkeel.tf1.metric_classes import confusion_matrix

_STREAMING = (
    "accuracy", "auc", "false_negatives", "false_negatives_at_thresholds", "false_positives",
    "false_positives_at_thresholds", "mean_absolute_error", "mean_cosine_distance", "mean_iou",
    "mean_relative_error", "mean_squared_error", "precision", "precision_at_thresholds", "recall",
    "recall_at_k", "recall_at_thresholds", "root_mean_squared_error", "sensitivity_at_specificity",
    "specificity_at_sensitivity", "true_negatives", "true_negatives_at_thresholds",
    "true_positives", "true_positives_at_thresholds",
)  # fmt: skip
__all__ = [
    "accuracy", "aggregate_metric_map", "aggregate_metrics", "confusion_matrix",
    "streaming_mean", "streaming_mean_tensor", "streaming_percentage_less",
    *(f"streaming_{name}" for name in _STREAMING),
]  # fmt: skip
streaming_mean, streaming_mean_tensor = metrics.mean, metrics.mean_tensor
streaming_percentage_less = metrics.percentage_below


def _swapped(name: str) -> Any:
    newer = getattr(metrics, name)

    def streaming(predictions: Any, labels: Any, *rest: Any, **named: Any) -> Any:
        return newer(labels, predictions, *rest, **named)

    streaming.__doc__ = f"``tf.metrics.{name}``, predictions first."
    streaming.__name__ = f"streaming_{name}"
    return streaming


globals().update({f"streaming_{name}": _swapped(name) for name in _STREAMING})


def accuracy(predictions: Any, labels: Any, weights: Any = None, name: Any = None) -> Any:
    """How often predictions are labels, in this batch."""
    with name_scope(name, "accuracy", [predictions, labels]):
        hits = cast(apply("Equal", predictions, labels), float32)
        if weights is None:
            return reductions.reduce_mean(hits)
        total = reductions.reduce_sum(apply("Mul", weights, hits))
        return total / reductions.reduce_sum(weights * (hits * 0.0 + 1.0))


def aggregate_metrics(*value_update_tuples: Any) -> tuple[list[Any], list[Any]]:
    """All values, all updates."""
    if not value_update_tuples:
        raise ValueError(
            "Expected at least one value_tensor/update_op pair for aggregation, got none."
        )
    values, updates = zip(*value_update_tuples, strict=True)
    return list(values), list(updates)


def aggregate_metric_map(names_to_tuples: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values and updates, by name."""
    pairs = names_to_tuples.items()
    return {name: pair[0] for name, pair in pairs}, {name: pair[1] for name, pair in pairs}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.contrib.metrics.{name}", __all__)
