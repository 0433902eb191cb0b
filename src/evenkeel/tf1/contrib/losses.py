"""``tf.contrib.losses``, which slim has too: predictions come first, unlike in ``tf.losses``.

The values are those of ``tf.losses``, whose nodes these functions build.
"""

from typing import Any

from evenkeel.tf1 import losses
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.losses import (
    add_loss,
    compute_weighted_loss,
    get_losses,
    get_regularization_losses,
    get_total_loss,
)

__all__ = [
    "absolute_difference", "add_loss", "compute_weighted_loss", "cosine_distance", "get_losses",
    "get_regularization_losses", "get_total_loss", "hinge_loss", "log_loss",
    "mean_pairwise_squared_error", "mean_squared_error", "sigmoid_cross_entropy",
    "softmax_cross_entropy", "sparse_softmax_cross_entropy",
]  # fmt: skip


def absolute_difference(
    predictions: Any, labels: Any = None, weights: Any = 1.0, scope: Any = None
) -> Any:
    """The mean size of the differences."""
    return losses.absolute_difference(labels, predictions, weights, scope)


def mean_squared_error(
    predictions: Any, labels: Any = None, weights: Any = 1.0, scope: Any = None
) -> Any:
    """The mean square of the differences."""
    return losses.mean_squared_error(labels, predictions, weights, scope)


def mean_pairwise_squared_error(
    predictions: Any, labels: Any = None, weights: Any = 1.0, scope: Any = None
) -> Any:
    """The mean square of the differences of differences of pairs."""
    return losses.mean_pairwise_squared_error(labels, predictions, weights, scope)


def log_loss(
    predictions: Any, labels: Any = None, weights: Any = 1.0, epsilon: float = 1e-7,
    scope: Any = None,
) -> Any:  # fmt: skip
    """The cross entropy of probabilities."""
    return losses.log_loss(labels, predictions, weights, epsilon, scope)


def hinge_loss(logits: Any, labels: Any = None, scope: Any = None) -> Any:
    """How far each logit is from the right side of the margin; not a mean, in no collection."""
    return losses.hinge_loss(
        labels, logits, scope=scope, loss_collection=None, reduction=losses.Reduction.NONE
    )


def cosine_distance(
    predictions: Any, labels: Any = None, axis: Any = None, weights: Any = 1.0, scope: Any = None,
    dim: Any = None,
) -> Any:  # fmt: skip
    """One minus the product of vectors of length one."""
    return losses.cosine_distance(labels, predictions, axis, weights, scope, dim=dim)


def softmax_cross_entropy(
    logits: Any, onehot_labels: Any, weights: Any = 1.0, label_smoothing: Any = 0,
    scope: Any = None,
) -> Any:  # fmt: skip
    """The cross entropy of softmax; smoothing moves labels towards 1 / classes."""
    return losses.softmax_cross_entropy(onehot_labels, logits, weights, label_smoothing, scope)


def sparse_softmax_cross_entropy(
    logits: Any, labels: Any, weights: Any = 1.0, scope: Any = None
) -> Any:
    """The cross entropy of softmax with classes given by number."""
    return losses.sparse_softmax_cross_entropy(labels, logits, weights, scope)


def sigmoid_cross_entropy(
    logits: Any, multi_class_labels: Any, weights: Any = 1.0, label_smoothing: Any = 0,
    scope: Any = None,
) -> Any:  # fmt: skip
    """The cross entropy of the sigmoid; smoothing moves labels towards one half."""
    return losses.sigmoid_cross_entropy(multi_class_labels, logits, weights, label_smoothing, scope)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.contrib.losses.{name}", __all__)
