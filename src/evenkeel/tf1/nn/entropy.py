"""Cross entropies, and what is drawn or ranked by logits."""

from typing import Any, NamedTuple

from evenkeel.tf1 import build, program
from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.constants import ones_like, zeros_like
from evenkeel.tf1.api.constants import range as counting
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.program.notices import notice

__all__ = [
    "in_top_k", "log_poisson_loss", "sigmoid_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits", "softmax_cross_entropy_with_logits_v2",
    "sparse_softmax_cross_entropy_with_logits", "top_k", "weighted_cross_entropy_with_logits",
]  # fmt: skip


class TopKV2(NamedTuple):
    """What ``top_k`` gives."""

    values: Any
    indices: Any


def _ensure(name: str, sentinel: Any, labels: Any, logits: Any) -> None:
    if sentinel is not None:
        raise ValueError(f"Only call `{name}` with named arguments (labels=..., logits=..., ...)")
    if labels is None or logits is None:
        raise ValueError("Both labels and logits must be provided.")


def _rows(logits: Tensor) -> Tensor:
    """All axes but the last as one."""
    rank = arrays.rank(logits)
    last = arrays.slice(arrays.shape(logits), [apply("Sub", rank, 1)], [1])
    made: Tensor = arrays.reshape(logits, arrays.concat([[-1], last], 0))
    sizes = logits.shape
    if sizes.ndims is not None:
        product: int | None = 1
        for size in sizes.sizes[:-1]:
            product = None if product is None or size is None else product * size
        if product is not None:  # else TensorFlow leaves all of it open
            made.set_shape([product, sizes.sizes[-1]])
    return made


def softmax_cross_entropy_with_logits_v2(
    labels: Any = None, logits: Any = None, axis: Any = None, name: Any = None, dim: Any = None
) -> Any:
    """The cross entropy of softmax; gradients flow to the labels too."""
    place = dim if axis is None else axis
    if labels is None or logits is None:
        raise ValueError("Both labels and logits must be provided.")
    with name_scope(name, "softmax_cross_entropy_with_logits", [logits, labels]) as scope:
        source, wanted = convert(logits, name="logits"), convert(labels, name="labels")
        wide = cast(source, "float32") if source.dtype.base_dtype.name == "float16" else source
        wanted = cast(wanted, wide.dtype.base_dtype)
        rank = arrays.rank(wide)
        shape = wide.shape
        axis_ = -1 if place is None else place
        if axis_ < -1 and shape.ndims is not None:
            axis_ += shape.ndims
        if axis_ != -1:
            wide, wanted = _moved(wide, axis_, rank), _moved(wanted, axis_, rank)
        before = arrays.shape(wide)
        costs, _ = apply("SoftmaxCrossEntropyWithLogits", _rows(wide), _rows(wanted), name=scope)
        count = apply("Sub", rank, 1)
        made = arrays.reshape(costs, arrays.slice(before, [0], [count]))
        if shape.ndims is not None:
            kept = list(shape.sizes)
            del kept[axis_]
            made.set_shape(kept)
        return cast(made, "float16") if source.dtype.base_dtype.name == "float16" else made


def _moved(x: Tensor, axis: int, rank: Tensor) -> Any:
    """The axis as the last."""
    order = arrays.concat([counting(axis), counting(axis + 1, rank), [axis]], 0)
    return apply("Transpose", x, order, name="transpose")


def softmax_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, dim: Any = -1, name: Any = None,
    axis: Any = None,
) -> Any:  # fmt: skip
    """The cross entropy of softmax; no gradient flows to the labels.

    Positional arguments are an error, but for a program under ``evenkeel run``: there they are
    (logits, labels), their order before TensorFlow 1.0.
    """
    positional = _sentinel is not None and labels is not None and logits is None
    if positional and program.legacy_positional_xent:
        _sentinel, logits = None, _sentinel
        notice(
            "xent",
            "softmax_cross_entropy_with_logits(logits, labels) without names: taken in the order of "
            "TensorFlow before 1.0; TensorFlow 1.15 refuses it",
        )
    _ensure("softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    place = dim if axis is None else axis
    with name_scope(name, "softmax_cross_entropy_with_logits_sg", [logits, labels]) as scope:
        fixed = apply("StopGradient", labels, name="labels_stop_gradient")
    return softmax_cross_entropy_with_logits_v2(fixed, logits, place, scope)


def sparse_softmax_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: Any = None
) -> Any:
    """The cross entropy of softmax with classes given by number."""
    _ensure("sparse_softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    values = [labels, logits]
    with name_scope(name, "SparseSoftmaxCrossEntropyWithLogits", values):
        classes, source = convert(labels), convert(logits)
        wide = cast(source, "float32") if source.dtype.base_dtype.name == "float16" else source
        dense, ranks = classes.shape, (classes.shape.ndims, source.shape.ndims)
        shape = arrays.shape(classes)
        if ranks[1] == 0:
            raise ValueError(f"Logits cannot be scalars - received shape {source.shape}.")
        if ranks[0] is not None and ranks[1] is not None and ranks[0] != ranks[1] - 1:
            raise ValueError(
                "Rank mismatch: Rank of labels (received "
                f"{ranks[0]}) should equal rank of logits minus 1 (received {ranks[1]})."
            )
        kind = "SparseSoftmaxCrossEntropyWithLogits"
        if ranks[1] == 2:
            cost, _ = apply(kind, wide, classes, name=name)
            return cast(cost, "float16") if wide is not source else cost
        count = arrays.shape(wide)[arrays.rank(wide) - 1]
        cost, _ = apply(
            kind, arrays.reshape(wide, [-1, count]), arrays.reshape(classes, [-1]), name=name
        )
        made = arrays.reshape(cost, shape)
        made.set_shape(dense)
        return cast(made, "float16") if wide is not source else made


def _compatible(labels: Tensor, logits: Tensor, what: str) -> None:
    if not labels.shape.is_compatible_with(logits.shape):
        raise ValueError(
            f"logits and {what} must have the same shape ({logits.shape} vs {labels.shape})"
        )


def sigmoid_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: Any = None
) -> Any:
    """The cross entropy of the sigmoid, without overflow."""
    _ensure("sigmoid_cross_entropy_with_logits", _sentinel, labels, logits)
    with name_scope(name, "logistic_loss", [logits, labels]) as scope:
        x, z = convert(logits, name="logits"), convert(labels, name="labels")
        _compatible(z, x, "labels")
        zeros = zeros_like(x, dtype=x.dtype.base_dtype)
        positive = x >= zeros
        kept = arrays.where(positive, x, zeros)
        minus = arrays.where(positive, -x, x)
        first = apply("Sub", kept, x * z, name="sub")
        second = apply("Log1p", apply("Exp", minus))
        return apply("Add", first, second, name=scope)


def weighted_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, pos_weight: Any = None, name: Any = None,
    targets: Any = None,
) -> Any:  # fmt: skip
    """The cross entropy of the sigmoid, where positive labels weigh more."""
    wanted = targets if labels is None else labels
    with name_scope(name, "logistic_loss", [logits, wanted]) as scope:
        x, z = convert(logits, name="logits"), convert(wanted, name="labels")
        _compatible(z, x, "labels")
        weight = 1 + (pos_weight - 1) * z
        first = (1 - z) * x
        grown = apply("Log1p", apply("Exp", -apply("Abs", x)))
        second = weight * (grown + apply("Relu", -x))
        return apply("Add", first, second, name=scope)


def log_poisson_loss(
    targets: Any, log_input: Any, compute_full_loss: bool = False, name: Any = None
) -> Any:
    """The negative log likelihood of counts."""
    with name_scope(name, "log_poisson_loss", [log_input, targets]):
        x, z = convert(log_input, name="log_input"), convert(targets, name="targets")
        _compatible(z, x, "targets")
        made = apply("Exp", x) - x * z
        if not compute_full_loss:
            return made
        half = build.constant(0.5, z.dtype.base_dtype)
        circle = build.constant(2 * 3.141592653589793, z.dtype.base_dtype)
        stirling = z * apply("Log", z) - z + half * apply("Log", circle * z)
        zeros = zeros_like(z, z.dtype.base_dtype)
        ones = ones_like(z, z.dtype.base_dtype)
        inside = apply("LogicalAnd", z >= zeros, z <= ones)
        return made + arrays.where(inside, zeros, stirling)


def in_top_k(predictions: Any, targets: Any, k: Any, name: Any = None) -> Any:
    """Whether the target is among the k largest predictions."""
    with name_scope(name, "in_top_k"):
        return apply("InTopKV2", predictions, targets, k, name=name)


def top_k(input: Any, k: Any = 1, sorted: bool = True, name: Any = None) -> Any:
    """The k largest values of each row, and where they are."""
    values, indices = apply("TopKV2", input, k, sorted=sorted, name=name)
    return TopKV2(values, indices)
