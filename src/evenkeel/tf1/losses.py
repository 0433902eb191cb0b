"""``tf.losses``: weighted losses, and the collection that their sum is taken of."""

from typing import Any

from evenkeel.tf1 import build, nn
from evenkeel.tf1.api import arrays, reductions
from evenkeel.tf1.api.constants import ones_like, zeros_like
from evenkeel.tf1.api.framework import add_to_collection, get_collection
from evenkeel.tf1.api.math import add_n, cast, div_no_nan, to_float
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.weights import assert_broadcastable, broadcast_weights

__all__ = [
    "Reduction", "absolute_difference", "add_loss", "compute_weighted_loss", "cosine_distance",
    "get_losses", "get_regularization_loss", "get_regularization_losses", "get_total_loss",
    "hinge_loss", "huber_loss", "log_loss", "mean_squared_error", "sigmoid_cross_entropy",
    "softmax_cross_entropy", "sparse_softmax_cross_entropy",
]  # fmt: skip


class Reduction:
    """How many losses become one."""

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_OVER_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_BY_NONZERO_WEIGHTS = SUM_OVER_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """Every way."""
        return (
            cls.NONE, cls.SUM, cls.MEAN, cls.SUM_OVER_BATCH_SIZE, cls.SUM_OVER_NONZERO_WEIGHTS,
            cls.SUM_BY_NONZERO_WEIGHTS,
        )  # fmt: skip


_BY_NONZERO = Reduction.SUM_BY_NONZERO_WEIGHTS


def add_loss(loss: Any, loss_collection: Any = GraphKeys.LOSSES) -> None:
    """Put a loss in the collection."""
    if loss_collection:
        add_to_collection(loss_collection, loss)


def get_losses(scope: Any = None, loss_collection: Any = GraphKeys.LOSSES) -> list[Any]:
    """The losses of the collection."""
    return get_collection(loss_collection, scope)


def get_regularization_losses(scope: Any = None) -> list[Any]:
    """The costs of weights."""
    return get_collection(GraphKeys.REGULARIZATION_LOSSES, scope)


def get_regularization_loss(scope: Any = None, name: str = "total_regularization_loss") -> Any:
    """The sum of the costs of weights."""
    found = get_regularization_losses(scope)
    return add_n(found, name=name) if found else build.constant(0.0)


def get_total_loss(
    add_regularization_losses: bool = True, name: str = "total_loss", scope: Any = None
) -> Any:
    """The sum of all losses."""
    found = get_losses(scope)
    if add_regularization_losses:
        found = found + get_regularization_losses(scope)
    return add_n(found, name=name)


def _present(losses: Any, weights: Any) -> Any:
    """How many losses have a weight that is not zero."""
    with name_scope(None, "num_present", [losses, weights]) as scope:
        shown = arrays.where(apply("Equal", weights, 0.0), zeros_like(weights), ones_like(weights))
        return reductions.reduce_sum(broadcast_weights(shown, losses), name=scope)


def compute_weighted_loss(
    losses: Any, weights: Any = 1.0, scope: Any = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = _BY_NONZERO,
) -> Any:  # fmt: skip
    """Losses times weights, as one number, which joins the collection."""
    if reduction not in Reduction.all():
        raise ValueError(f"Invalid Reduction Key {reduction}.")
    with name_scope(scope, "weighted_loss", [losses, weights]):
        check = assert_broadcastable(weights, losses)
        with get_default_graph().control_dependencies([check]):
            found = convert(losses)
            kind = found.dtype.base_dtype
            factor = cast(weights, "float32")
            made = apply("Mul", cast(found, "float32"), factor)
            if reduction != Reduction.NONE:
                made = _reduced(made, factor, reduction)
            made = cast(made, kind)
            add_loss(made, loss_collection)
            return made


def _reduced(losses: Any, weights: Any, reduction: str) -> Any:
    total = reductions.reduce_sum(losses)
    if reduction == Reduction.SUM:
        return total
    if reduction == Reduction.MEAN:
        count = reductions.reduce_sum(ones_like(losses) * weights)
    elif reduction == Reduction.SUM_OVER_BATCH_SIZE:
        with name_scope(None, "num_elements", [losses]) as scope:
            count = cast(arrays.size(losses, name=scope), "float32")
    else:
        count = _present(losses, weights)
    return div_no_nan(reductions.reduce_sum(total), count, name="value")


def _pair(labels: Any, predictions: Any) -> tuple[Any, Any]:
    if labels is None:
        raise ValueError("labels must not be None.")
    if predictions is None:
        raise ValueError("predictions must not be None.")
    guessed, right = to_float(predictions), to_float(labels)
    guessed.shape.assert_is_compatible_with(right.shape)
    return guessed, right


def _elementwise(name: str, losses_of: Any) -> Any:
    def loss(
        labels: Any, predictions: Any, weights: Any = 1.0, scope: Any = None,
        loss_collection: Any = GraphKeys.LOSSES, reduction: str = _BY_NONZERO,
    ) -> Any:  # fmt: skip
        with name_scope(scope, name, [predictions, labels, weights]) as own:
            losses = losses_of(*_pair(labels, predictions))
            return compute_weighted_loss(losses, weights, own, loss_collection, reduction)

    loss.__doc__ = f"{name}, weighted."
    loss.__name__ = loss.__qualname__ = name
    return loss


mean_squared_error = _elementwise(
    "mean_squared_error", lambda p, y: apply("SquaredDifference", p, y)
)
absolute_difference = _elementwise(
    "absolute_difference", lambda p, y: apply("Abs", apply("Sub", p, y))
)


def log_loss(
    labels: Any, predictions: Any, weights: Any = 1.0, epsilon: float = 1e-7, scope: Any = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = _BY_NONZERO,
) -> Any:  # fmt: skip
    """The cross entropy of probabilities."""
    with name_scope(scope, "log_loss", [predictions, labels, weights]) as own:
        p, y = _pair(labels, predictions)
        first = -apply("Mul", y, apply("Log", p + epsilon))
        losses = first - apply("Mul", 1 - y, apply("Log", 1 - p + epsilon))
        return compute_weighted_loss(losses, weights, own, loss_collection, reduction)


def hinge_loss(
    labels: Any, logits: Any, weights: Any = 1.0, scope: Any = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = _BY_NONZERO,
) -> Any:  # fmt: skip
    """How far logits are from the right side of the margin."""
    with name_scope(scope, "hinge_loss", [logits, labels, weights]) as own:
        x, y = _pair(labels, logits)
        ones = ones_like(y)
        signs = apply("Sub", 2 * y, ones)
        losses = apply("Relu", apply("Sub", ones, apply("Mul", signs, x)))
        return compute_weighted_loss(losses, weights, own, loss_collection, reduction)


def huber_loss(
    labels: Any, predictions: Any, weights: Any = 1.0, delta: float = 1.0, scope: Any = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = _BY_NONZERO,
) -> Any:  # fmt: skip
    """Quadratic near zero, linear beyond ``delta``."""
    with name_scope(scope, "huber_loss", [predictions, labels, weights]) as own:
        p, y = _pair(labels, predictions)
        away = apply("Abs", apply("Sub", p, y))
        near = apply("Minimum", away, delta)
        far = apply("Sub", away, near)
        half = build.constant(0.5, near.dtype.base_dtype)
        squares = apply("Mul", half, apply("Mul", near, near))
        losses = apply("Add", squares, apply("Mul", delta, far))
        return compute_weighted_loss(losses, weights, own, loss_collection, reduction)


def cosine_distance(
    labels: Any, predictions: Any, axis: Any = None, weights: Any = 1.0, scope: Any = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = _BY_NONZERO, dim: Any = None,
) -> Any:  # fmt: skip
    """One minus the product of vectors of length one."""
    place = dim if axis is None else axis
    if place is None:
        raise ValueError("You must specify 'axis'.")
    with name_scope(scope, "cosine_distance_loss", [predictions, labels, weights]) as own:
        p, y = _pair(labels, predictions)
        losses = 1 - reductions.reduce_sum(apply("Mul", p, y), (place,), keepdims=True)
        return compute_weighted_loss(losses, weights, own, loss_collection, reduction)


def softmax_cross_entropy(
    onehot_labels: Any, logits: Any, weights: Any = 1.0, label_smoothing: Any = 0,
    scope: Any = None, loss_collection: Any = GraphKeys.LOSSES, reduction: str = _BY_NONZERO,
) -> Any:  # fmt: skip
    """The cross entropy of softmax; smoothing moves labels towards 1 / classes."""
    values = [logits, onehot_labels, weights]
    with name_scope(scope, "softmax_cross_entropy_loss", values) as own:
        x = convert(logits)
        y = cast(onehot_labels, x.dtype.base_dtype)
        x.shape.assert_is_compatible_with(y.shape)
        if label_smoothing > 0:
            classes = cast(arrays.shape(y)[len(y.shape) - 1], x.dtype.base_dtype)
            off = label_smoothing / classes
            y = y * (1.0 - label_smoothing) + off
        y = apply("StopGradient", y, name="labels_stop_gradient")
        losses = nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=x, name="xentropy")
        return compute_weighted_loss(losses, weights, own, loss_collection, reduction)


def sparse_softmax_cross_entropy(
    labels: Any, logits: Any, weights: Any = 1.0, scope: Any = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = _BY_NONZERO,
) -> Any:  # fmt: skip
    """The cross entropy of softmax with classes given by number."""
    values = [logits, labels, weights]
    with name_scope(scope, "sparse_softmax_cross_entropy_loss", values) as own:
        with name_scope(None, "remove_squeezable_dimensions", [labels, logits]):
            y, x = convert(labels), convert(logits)
            if None not in (x.shape.ndims, y.shape.ndims) and y.shape.ndims == x.shape.ndims:
                y = arrays.squeeze(y, [-1])
        weights = convert(weights)
        losses = nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=x, name="xentropy")
        return compute_weighted_loss(losses, weights, own, loss_collection, reduction)


def sigmoid_cross_entropy(
    multi_class_labels: Any, logits: Any, weights: Any = 1.0, label_smoothing: Any = 0,
    scope: Any = None, loss_collection: Any = GraphKeys.LOSSES, reduction: str = _BY_NONZERO,
) -> Any:  # fmt: skip
    """The cross entropy of the sigmoid; smoothing moves labels towards one half."""
    values = [logits, multi_class_labels, weights]
    with name_scope(scope, "sigmoid_cross_entropy_loss", values) as own:
        x = convert(logits)
        y = cast(multi_class_labels, x.dtype.base_dtype)
        x.shape.assert_is_compatible_with(y.shape)
        if label_smoothing > 0:
            y = y * (1 - label_smoothing) + 0.5 * label_smoothing
        losses = nn.sigmoid_cross_entropy_with_logits(labels=y, logits=x, name="xentropy")
        return compute_weighted_loss(losses, weights, own, loss_collection, reduction)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.losses.{name}", __all__)
