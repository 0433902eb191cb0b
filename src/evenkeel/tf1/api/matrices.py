"""Smaller functions of ``tf``: identity matrices, confusion, the logarithm of the sigmoid."""

from typing import Any

from evenkeel.tf1.api.constants import ones, zeros
from evenkeel.tf1.build import apply, convert, name_scope

__all__ = ["confusion_matrix", "eye", "log_sigmoid"]


def confusion_matrix(
    labels: Any, predictions: Any, num_classes: Any = None, dtype: Any = "int32", name: Any = None,
    weights: Any = None,
) -> Any:  # fmt: skip
    """How often each label (row) met each prediction (column)."""
    from evenkeel.tf1 import metric_classes  # which needs the functions of this folder

    return metric_classes.confusion_matrix(labels, predictions, num_classes, dtype, name, weights)


def eye(
    num_rows: int, num_columns: int | None = None, batch_shape: Any = None, dtype: Any = "float32",
    name: Any = None,
) -> Any:  # fmt: skip
    """Ones on the diagonal of a matrix, or of each of a batch."""
    with name_scope(name, "eye", [num_rows, num_columns, batch_shape]):
        columns = num_rows if num_columns is None else num_columns
        before = [] if batch_shape is None else list(batch_shape)
        diagonal = ones([*before, min(num_rows, columns)], dtype=dtype)
        if num_columns is None:
            return apply("MatrixDiag", diagonal)
        return apply("MatrixSetDiag", zeros([*before, num_rows, columns], dtype=dtype), diagonal)


def log_sigmoid(x: Any, name: Any = None) -> Any:
    """log(1 / (1 + exp(−x)))."""
    with name_scope(name, "LogSigmoid", [x]) as scope:
        source = convert(x, name="x")
        return apply("Neg", apply("Softplus", -source), name=scope)
