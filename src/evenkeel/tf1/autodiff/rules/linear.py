"""Gradients of products of matrices."""

from typing import Any

from evenkeel.tf1.api.arrays import shape, transpose
from evenkeel.tf1.autodiff.broadcasting import _run_time
from evenkeel.tf1.autodiff.rules.binary import conj
from evenkeel.tf1.build import apply
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.table import GRADIENTS

rule = GRADIENTS.add

# (a turned, b turned) -> the two factors of each gradient, and which of them are turned
_FACTORS: dict[tuple[bool, bool], Any] = {
    (False, False): (("g", "b", False, True), ("a", "g", True, False)),
    (False, True): (("g", "b", False, False), ("g", "a", True, False)),
    (True, False): (("b", "g", False, True), ("a", "g", False, False)),
    (True, True): (("b", "g", True, True), ("g", "a", True, True)),
}


def _products(kind: str, flags: tuple[str, str], op: Operation, grad: Any) -> list[Any]:
    turned = (op.attrs[_flag(op, 0)], op.attrs[_flag(op, 1)])
    values = {"a": conj(op.inputs[0]), "b": conj(op.inputs[1]), "g": grad}
    made = []
    for left, right, first, second in _FACTORS[turned]:
        attrs = {flags[0]: first, flags[1]: second}
        made.append(apply(kind, values[left], values[right], name="MatMul", **attrs))
    return made


def _flag(op: Operation, index: int) -> str:
    names = ("transpose_a", "transpose_b") if op.type == "MatMul" else ("adj_x", "adj_y")
    return names[index]


@rule("MatMul")
def matmul(op: Operation, grad: Any) -> list[Any]:
    """The gradient times the other factor, turned."""
    return _products("MatMul", ("transpose_a", "transpose_b"), op, grad)


@rule("BatchMatMul")
def batch_matmul(op: Operation, grad: Any) -> list[Any]:
    """The gradients times the other factors, turned."""
    return _products("BatchMatMul", ("adj_x", "adj_y"), op, grad)


@rule("BatchMatMulV2")
def batch_matmul_v2(op: Operation, grad: Any) -> list[Any]:
    """The gradients times the other factors, turned, and summed where batches were broadcast."""
    made = _products("BatchMatMulV2", ("adj_x", "adj_y"), op, grad)
    x, y = op.inputs
    batches = [t.shape[:-2] if t.shape.ndims is not None else None for t in (x, y)]
    known = all(b is not None and b.is_fully_defined() for b in batches)
    if known and batches[0]._sizes == batches[1]._sizes:  # type: ignore[union-attr]
        return made
    sx, sy = shape(x), shape(y)
    left, right = _run_time(sx[:-2], sy[:-2])
    from evenkeel.tf1.api.arrays import reshape
    from evenkeel.tf1.api.reductions import reduce_sum

    first = reshape(reduce_sum(made[0], left.axes), sx)
    return [first, reshape(reduce_sum(made[1], right.axes), sy)]


@rule("Transpose")
def transposed(op: Operation, grad: Any) -> list[Any]:
    """The axes put back."""
    return [transpose(grad, apply("InvertPermutation", op.inputs[1])), None]


@rule("Diag")
def diag(op: Operation, grad: Any) -> list[Any]:
    """The diagonal."""
    return [apply("DiagPart", grad)]


@rule("DiagPart")
def diag_part(op: Operation, grad: Any) -> list[Any]:
    """The gradient on a diagonal."""
    return [apply("Diag", grad)]


@rule("MatrixDiag")
def matrix_diag(op: Operation, grad: Any) -> list[Any]:
    """The diagonals."""
    return [apply("MatrixDiagPart", grad)]


@rule("MatrixBandPart")
def matrix_band_part(op: Operation, grad: Any) -> list[Any]:
    """The same band."""
    return [apply("MatrixBandPart", grad, op.inputs[1], op.inputs[2]), None, None]


@rule("MatrixInverse")
def matrix_inverse(op: Operation, grad: Any) -> list[Any]:
    """−A⁻ᵀ g A⁻ᵀ."""
    inverse = op.outputs[0]
    right = apply("BatchMatMulV2", grad, inverse, adj_y=True, name="MatMul")
    return [apply("Neg", apply("BatchMatMulV2", inverse, right, adj_x=True, name="MatMul"))]
