"""``tf.metrics`` of classes, and ``tf.confusion_matrix``. TensorFlow's assertions about the range of
labels are not built: a class outside raises where it is counted.
"""

from typing import Any

from evenkeel.tf1.api import arrays, reductions
from evenkeel.tf1.api.constants import ones_like, zeros_like
from evenkeel.tf1.api.math import cast, div_no_nan
from evenkeel.tf1.api.state import assign_add, scatter_add
from evenkeel.tf1.api.variable_scopes import variable_scope
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.dtypes import as_dtype, float32
from evenkeel.tf1.metric_state import finished, metric_variable

__all__ = ["mean_iou", "mean_per_class_accuracy", "precision_at_k", "recall_at_k"]


def confusion_matrix(
    labels: Any, predictions: Any, num_classes: Any = None, dtype: Any = "int32", name: Any = None,
    weights: Any = None,
) -> Any:  # fmt: skip
    """How often each label (row) met each prediction (column)."""
    with name_scope(name, "confusion_matrix", (predictions, labels, num_classes, weights)):
        rows, columns = (
            cast(arrays.reshape(convert(v), [-1]), "int64") for v in (labels, predictions)
        )
        if num_classes is None:
            most = apply("Maximum", reductions.reduce_max(rows), reductions.reduce_max(columns))
            num_classes = most + 1
        size = cast(num_classes, "int64")
        kind = as_dtype(dtype)
        counts = ones_like(rows, kind) if weights is None else cast(weights, kind)
        places, whole = arrays.stack([rows, columns], 1), arrays.stack([size, size])
        return apply("ScatterNd", places, counts, whole)


def mean_iou(
    labels: Any, predictions: Any, num_classes: int, weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """The mean over classes of overlap over union; the update is the matrix of counts."""
    with variable_scope(name, "mean_iou", (predictions, labels, weights)):
        kept = metric_variable([num_classes, num_classes], "float64", "total_confusion_matrix")
        flat = None if weights is None else arrays.reshape(convert(weights), [-1])
        now = confusion_matrix(labels, predictions, num_classes, "float64", weights=flat)
        update = assign_add(kept, now)
        return finished(_overlap(convert(kept)), update, metrics_collections, updates_collections)


def _overlap(matrix: Any) -> Any:
    rows, columns = (cast(reductions.reduce_sum(matrix, axis), float32) for axis in (0, 1))
    hits = cast(apply("MatrixDiagPart", matrix), float32)
    union = rows + columns - hits
    valid = reductions.reduce_sum(cast(apply("NotEqual", union, 0.0), float32))
    shares = hits / apply("Select", union > 0, union, ones_like(union))
    return div_no_nan(reductions.reduce_sum(shares), valid, name="mean_iou")


def mean_per_class_accuracy(
    labels: Any, predictions: Any, num_classes: int, weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """The mean over classes of how often each was found; the update is one share a class."""
    with variable_scope(name, "mean_accuracy", (predictions, labels, weights)):
        rows = arrays.reshape(cast(labels, "int64"), [-1])
        guesses = arrays.reshape(cast(predictions, "int64"), [-1])
        total = metric_variable([num_classes], float32, "total")
        count = metric_variable([num_classes], float32, "count")
        hits = cast(apply("Equal", guesses, rows), float32)
        number = ones_like(hits)
        if weights is not None:
            factor = arrays.reshape(cast(weights, float32), [-1])
            number, hits = number * factor, hits * factor
        add_total, add_count = scatter_add(total, rows, number), scatter_add(count, rows, hits)
        value = reductions.reduce_mean(div_no_nan(count, total), name="mean_accuracy")
        update = div_no_nan(add_count, add_total, name="update_op")
        return finished(value, update, metrics_collections, updates_collections)


def _at_k(word: str, kept: tuple[str, str]) -> Any:
    def at_k(
        labels: Any, predictions: Any, k: int, class_id: Any = None, weights: Any = None,
        metrics_collections: Any = None, updates_collections: Any = None, name: Any = None,
    ) -> Any:  # fmt: skip
        if class_id is not None:
            raise NotImplementedError(f"{word}_at_k of one class is not in this dialect")
        with variable_scope(name, f"{word}_at_{k}", (predictions, labels, weights)):
            hits, others = _hits_and_misses(labels, predictions, k, word)
            if weights is not None:
                factor = cast(weights, "float64")
                hits, others = hits * factor, others * factor
            names = [f"{kind}_at_{k}" for kind in kept]
            found, lost = (metric_variable([], "float64", n) for n in names)
            add_found = assign_add(found, reductions.reduce_sum(hits))
            add_lost = assign_add(lost, reductions.reduce_sum(others))
            value = div_no_nan(convert(found), found + lost, name="value")
            update = div_no_nan(add_found, add_found + add_lost, name="update_op")
            return finished(value, update, metrics_collections, updates_collections)

    at_k.__doc__ = f"The {word} of the k highest scores; labels are dense, −1 for none."
    return at_k


def _hits_and_misses(labels: Any, predictions: Any, k: int, word: str) -> tuple[Any, Any]:
    """By example: how many labels lie among the k highest scores, and how many (of them) do not."""
    wanted = cast(labels, "int64")
    if len(wanted.shape) == len(predictions.shape) - 1:
        wanted = arrays.expand_dims(wanted, -1)
    best = cast(apply("TopKV2", predictions, k)[1], "int64")
    same = apply("Equal", arrays.expand_dims(wanted, -1), arrays.expand_dims(best, -2))
    met = reductions.reduce_any(same, -1 if word == "recall" else -2)
    hits = reductions.reduce_sum(cast(met, "float64"), -1)
    if word == "recall":
        of = reductions.reduce_sum(cast(wanted >= zeros_like(wanted), "float64"), -1)
    else:
        of = cast(ones_like(hits) * float(k), "float64")
    return hits, of - hits


recall_at_k = _at_k("recall", ("true_positive", "false_negative"))
precision_at_k = _at_k("precision", ("true_positive", "false_positive"))
