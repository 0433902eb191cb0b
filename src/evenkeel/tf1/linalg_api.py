"""``tf.linalg``: matrices."""

from typing import Any

from evenkeel.tf1.build import apply
from evenkeel.tf1.catalogue import look_up, missing

_SAME = {
    "band_part": "matrix_band_part", "einsum": "einsum", "eye": "eye", "matmul": "matmul",
    "norm": "norm", "tensordot": "tensordot", "transpose": "matrix_transpose",
}  # fmt: skip
_NODES = {
    "cholesky": "Cholesky", "det": "MatrixDeterminant", "diag": "MatrixDiag",
    "diag_part": "MatrixDiagPart", "inv": "MatrixInverse", "tensor_diag": "Diag",
    "tensor_diag_part": "DiagPart",
}  # fmt: skip


def _node(kind: str) -> Any:
    def function(input: Any, name: Any = None) -> Any:
        return apply(kind, input, name=name)

    function.__doc__ = f"{kind} of matrices."
    return function


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name in _NODES:
        return _node(_NODES[name])
    if name == "l2_normalize":
        return look_up("nn").l2_normalize
    if name in _SAME:
        return look_up(_SAME[name])
    raise missing(f"tf.linalg.{name}", [*_SAME, *_NODES])


def __dir__() -> list[str]:
    return sorted([*_SAME, *_NODES, "l2_normalize"])
