"""``tf.metrics`` of scores against thresholds: scores lie in [0, 1], or the update fails."""

from typing import Any

from evenkeel.tf1.api import arrays, reductions
from evenkeel.tf1.api.constants import ones_like
from evenkeel.tf1.api.math import cast, cumsum, div_no_nan
from evenkeel.tf1.api.state import assign_add
from evenkeel.tf1.api.variable_scopes import variable_scope
from evenkeel.tf1.build import apply, constant, convert
from evenkeel.tf1.catalogue import look_up
from evenkeel.tf1.dtypes import float32
from evenkeel.tf1.metric_state import finished, metric_variable
from evenkeel.tf1.stacks import get_default_graph

__all__ = [
    "auc", "false_negatives_at_thresholds", "false_positives_at_thresholds",
    "precision_at_thresholds", "recall_at_thresholds", "sensitivity_at_specificity",
    "specificity_at_sensitivity", "true_negatives_at_thresholds", "true_positives_at_thresholds",
]  # fmt: skip
_EDGE = 1e-7  # beyond 0 and 1, so that the outer thresholds part nothing
_LEAST = 1e-6  # what keeps ratios of auc finite
_KINDS = {"tp": "true_positives", "fn": "false_negatives", "tn": "true_negatives"} | {
    "fp": "false_positives"
}


class _Counts:
    """Counts by threshold, as kept and as after this batch."""

    def __init__(
        self, labels: Any, predictions: Any, thresholds: list[float], weights: Any, kinds: str
    ) -> None:
        given = convert(predictions)
        with get_default_graph().control_dependencies(_within(given)):
            found_scores, truth = cast(given, float32), cast(convert(labels), "bool")
        scores, right = arrays.reshape(found_scores, [1, -1]), arrays.reshape(truth, [1, -1])
        above = apply("Greater", scores, arrays.expand_dims(constant(thresholds), 1))
        below, wrong = apply("LogicalNot", above), apply("LogicalNot", right)
        found = {"tp": (right, above), "fn": (right, below), "tn": (wrong, below)}
        found["fp"] = (wrong, above)
        factor = None
        if weights is not None:
            wide = cast(weights, float32) * ones_like(cast(predictions, float32))
            factor = arrays.reshape(wide, [1, -1])
        self.kept: dict[str, Any] = {}
        self.added: dict[str, Any] = {}
        for kind in kinds.split():
            kept = metric_variable([len(thresholds)], float32, _KINDS[kind])
            hits = cast(apply("LogicalAnd", *found[kind]), float32)
            hits = hits if factor is None else hits * factor
            self.kept[kind] = convert(kept)
            self.added[kind] = assign_add(kept, reductions.reduce_sum(hits, 1))


def _within(scores: Any) -> list[Any]:
    """Nodes that fail where a score is below 0 or above 1."""
    least, most = (cast(edge, scores.dtype) for edge in (0.0, 1.0))
    message = "predictions must be in [0, 1]"
    above, below = look_up("assert_greater_equal"), look_up("assert_less_equal")
    return [above(scores, least, message=message), below(scores, most, message=message)]


def _spread(count: int) -> list[float]:
    inner = [(i + 1) * 1.0 / (count - 1) for i in range(count - 2)]
    return [0.0 - _EDGE, *inner, 1.0 + _EDGE]


def auc(
    labels: Any, predictions: Any, weights: Any = None, num_thresholds: int = 200,
    metrics_collections: Any = None, updates_collections: Any = None, curve: str = "ROC",
    name: Any = None, summation_method: str = "trapezoidal", thresholds: Any = None,
) -> Any:  # fmt: skip
    """The area under the curve of true over false positives, or of precision over recall."""
    if curve not in ("ROC", "PR"):
        raise ValueError(f"curve must be either ROC or PR, {curve} unknown")
    if summation_method not in _SUMS and summation_method != "careful_interpolation":
        raise ValueError(f"Invalid summation_method: {summation_method}")
    with variable_scope(name, "auc", (labels, predictions, weights)):
        places = _spread(num_thresholds)
        if thresholds is not None:
            places = [0.0 - _EDGE, *sorted(thresholds), 1.0 + _EDGE]
        counts = _Counts(labels, predictions, places, weights, "tp fn tn fp")
        value = _area(counts.kept, curve, summation_method)
        update = _area(counts.added, curve, summation_method)
        return finished(value, update, metrics_collections, updates_collections)


_SUMS: dict[str, Any] = {
    "trapezoidal": lambda one, other: (one + other) / 2.0,
    "minoring": lambda one, other: apply("Minimum", one, other),
    "majoring": lambda one, other: apply("Maximum", one, other),
}


def _area(of: dict[str, Any], curve: str, method: str) -> Any:
    if method == "careful_interpolation":
        if curve == "PR":
            return _interpolated(of["tp"], of["fp"], of["fn"])
        method = "trapezoidal"
    recall = (of["tp"] + _LEAST) / (of["tp"] + of["fn"] + _LEAST)
    if curve == "ROC":
        x, y = of["fp"] / (of["fp"] + of["tn"] + _LEAST), recall
    else:
        x, y = recall, (of["tp"] + _LEAST) / (of["tp"] + of["fp"] + _LEAST)
    return reductions.reduce_sum((x[:-1] - x[1:]) * _SUMS[method](y[:-1], y[1:]))


def _interpolated(tp: Any, fp: Any, fn: Any) -> Any:
    """The area under precision over recall, true positives taken as linear between thresholds."""
    steps, positives = tp[:-1] - tp[1:], tp + fp
    slope = div_no_nan(steps, apply("Maximum", positives[:-1] - positives[1:], 0.0))
    start = tp[1:] - slope * positives[1:]
    both = apply("LogicalAnd", positives[:-1] > 0, positives[1:] > 0)
    ratio = div_no_nan(positives[:-1], apply("Maximum", positives[1:], 0.0))
    safe = apply("Select", both, ratio, ones_like(positives[1:]))
    part = slope * (steps + start * apply("Log", safe))
    return reductions.reduce_sum(div_no_nan(part, apply("Maximum", tp[1:] + fn[1:], 0.0)))


def _ratio(name_: str, other: str) -> Any:
    def at_thresholds(
        labels: Any, predictions: Any, thresholds: Any, weights: Any = None,
        metrics_collections: Any = None, updates_collections: Any = None, name: Any = None,
    ) -> Any:  # fmt: skip
        with variable_scope(name, name_, (predictions, labels, weights)):
            counts = _Counts(labels, predictions, list(thresholds), weights, f"tp {other}")
            value, update = (
                of["tp"] / (_EDGE + of["tp"] + of[other]) for of in (counts.kept, counts.added)
            )
            return finished(value, update, metrics_collections, updates_collections)

    at_thresholds.__doc__ = f"{name_.replace('_', ' ')}: one value a threshold."
    return at_thresholds


precision_at_thresholds = _ratio("precision_at_thresholds", "fp")
recall_at_thresholds = _ratio("recall_at_thresholds", "fn")


def _counted(kind: str) -> Any:
    def at_thresholds(
        labels: Any, predictions: Any, thresholds: Any, weights: Any = None,
        metrics_collections: Any = None, updates_collections: Any = None, name: Any = None,
    ) -> Any:  # fmt: skip
        with variable_scope(name, _KINDS[kind], (predictions, labels, weights)):
            counts = _Counts(labels, predictions, list(thresholds), weights, kind)
            pair = counts.kept[kind], counts.added[kind]
            return finished(*pair, metrics_collections, updates_collections)

    at_thresholds.__doc__ = f"How many {_KINDS[kind].replace('_', ' ')}: one count a threshold."
    return at_thresholds


true_positives_at_thresholds, false_positives_at_thresholds = _counted("tp"), _counted("fp")
true_negatives_at_thresholds, false_negatives_at_thresholds = _counted("tn"), _counted("fn")


def sensitivity_at_specificity(
    labels: Any, predictions: Any, specificity: float, weights: Any = None,
    num_thresholds: int = 200, metrics_collections: Any = None, updates_collections: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """The share of positives found at the threshold whose specificity is nearest."""
    _share("specificity", specificity)

    def value(of: dict[str, Any]) -> Any:
        away = apply("Abs", of["tn"] / (of["tn"] + of["fp"] + _EDGE) - specificity)
        at = cast(reductions.argmin(away, 0), "int32")
        return of["tp"][at] / (of["tp"][at] + of["fn"][at] + _EDGE)

    with variable_scope(name, "sensitivity_at_specificity", (predictions, labels, weights)):
        counts = _Counts(labels, predictions, _spread(num_thresholds), weights, "tp fn tn fp")
        pair = value(counts.kept), value(counts.added)
        return finished(*pair, metrics_collections, updates_collections)


def specificity_at_sensitivity(
    labels: Any, predictions: Any, sensitivity: float, weights: Any = None,
    num_thresholds: int = 200, metrics_collections: Any = None, updates_collections: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """The share of negatives found at the last threshold whose sensitivity is nearest."""
    _share("sensitivity", sensitivity)

    def value(of: dict[str, Any]) -> Any:
        away = apply("Abs", of["tp"] / (of["tp"] + of["fn"] + _EDGE) - sensitivity)
        nearest = cast(apply("Equal", reductions.reduce_min(away), away), "int64")
        at = cast(reductions.argmax(cumsum(nearest), 0), "int32")
        return of["tn"][at] / (of["tn"][at] + of["fp"][at] + _EDGE)

    with variable_scope(name, "specificity_at_sensitivity", (predictions, labels, weights)):
        counts = _Counts(labels, predictions, _spread(num_thresholds), weights, "tp fn tn fp")
        pair = value(counts.kept), value(counts.added)
        return finished(*pair, metrics_collections, updates_collections)


def _share(word: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"`{word}` must be in the range [0, 1].")
