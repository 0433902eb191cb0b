"""Matrices: products, batches of products, inverses, decompositions."""

from typing import Any

import torch

from evenkeel.tf1.infer import ShapeConflict
from evenkeel.tf1.ops.rules import broadcast_shapes, equal_sizes
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape, unknown_shape


def _matrix(shape: TensorShape, transposed: bool) -> tuple[int | None, int | None]:
    if shape.ndims is None:
        return None, None
    if shape.ndims != 2:
        raise ShapeConflict(f"Shape must be rank 2 but is rank {shape.ndims}")
    rows, columns = shape.sizes
    return (columns, rows) if transposed else (rows, columns)


def _product(node: Any) -> list[TensorShape]:
    rows, inner = _matrix(node.inputs[0].shape, node.attrs["transpose_a"])
    other, columns = _matrix(node.inputs[1].shape, node.attrs["transpose_b"])
    equal_sizes(inner, other)
    return [TensorShape([rows, columns])]


@op("MatMul", shape=_product)
def matmul(a: Any, b: Any, *, transpose_a: bool, transpose_b: bool) -> Any:
    """The product of two matrices."""
    return torch.mm(a.t() if transpose_a else a, b.t() if transpose_b else b)


def _batch(node: Any) -> list[TensorShape]:
    a, b = (t.shape for t in node.inputs)
    if a.ndims is None or b.ndims is None:
        return [unknown_shape()]
    rows, inner = _matrix(a[-2:], node.attrs["adj_x"])
    other, columns = _matrix(b[-2:], node.attrs["adj_y"])
    equal_sizes(inner, other)
    return [broadcast_shapes(a[:-2], b[:-2]).concatenate([rows, columns])]


@op("BatchMatMul", "BatchMatMulV2", shape=_batch)
def batch_matmul(a: Any, b: Any, *, adj_x: bool, adj_y: bool) -> Any:
    """The products of the matrices in two batches."""
    return torch.matmul(a.mH if adj_x else a, b.mH if adj_y else b)


@op("MatrixInverse")
def matrix_inverse(x: Any, *, adjoint: bool) -> Any:
    """The inverse."""
    return torch.linalg.inv(x.mH if adjoint else x)


@op("MatrixDeterminant")
def matrix_determinant(x: Any) -> Any:
    """The determinant."""
    return torch.linalg.det(x)


@op("Cholesky")
def cholesky(x: Any) -> Any:
    """The lower Cholesky factor."""
    return torch.linalg.cholesky(x)


@op("Diag")
def diag(x: Any) -> Any:
    """A tensor with ``x`` on its diagonal."""
    return torch.diag(x.reshape(-1)).reshape(*x.shape, *x.shape)


@op("DiagPart")
def diag_part(x: Any) -> Any:
    """The diagonal of a tensor."""
    half = x.shape[: x.ndim // 2]
    size = half.numel() if hasattr(half, "numel") else 1
    return torch.diagonal(x.reshape(size, size)).reshape(half)


@op("MatrixDiag")
def matrix_diag(x: Any) -> Any:
    """Matrices with the last axis on their diagonals."""
    return torch.diag_embed(x)


@op("MatrixDiagPart")
def matrix_diag_part(x: Any) -> Any:
    """The diagonals of matrices."""
    return torch.diagonal(x, dim1=-2, dim2=-1)


@op("MatrixBandPart", host=("num_lower", "num_upper"))
def matrix_band_part(x: Any, lower: int, upper: int) -> Any:
    """The matrices with all but a band set to zero."""
    x = x if lower < 0 else torch.triu(x, -lower)
    return x if upper < 0 else torch.tril(x, upper)


@op("MatrixSetDiag", shape=lambda node: [node.inputs[0].shape])
def matrix_set_diag(x: Any, diagonal: Any) -> Any:
    """The matrices with another diagonal."""
    return torch.diagonal_scatter(x, diagonal, dim1=-2, dim2=-1)
