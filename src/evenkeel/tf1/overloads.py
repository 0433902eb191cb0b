"""Python's operators on tensors and variables, each the node that TensorFlow makes of it."""

from typing import Any

from evenkeel.tf1.api import math
from evenkeel.tf1.api.indexing import getitem
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.variables import Variable

# Python's name -> (the scope of the node, its type)
_BINARY = {
    "add": ("add", "AddV2"),
    "sub": ("sub", "Sub"),
    "mul": ("mul", "Mul"),
    "floordiv": ("floordiv", "FloorDiv"),
    "mod": ("mod", "FloorMod"),
    "pow": ("pow", "Pow"),
    "and": ("and", "LogicalAnd"),
    "or": ("or", "LogicalOr"),
    "xor": ("logical_xor", "LogicalXor"),
    "truediv": ("truediv", "RealDiv"),
    "matmul": ("matmul", "MatMul"),
}
_COMPARE = {"lt": "Less", "le": "LessEqual", "gt": "Greater", "ge": "GreaterEqual"}
_UNARY = {"neg": "Neg", "invert": "LogicalNot", "abs": "Abs"}


def _node(kind: str, x: Any, y: Any, name: str) -> Any:
    if kind == "RealDiv":
        return math.truediv(x, y, name)
    if kind == "MatMul":
        return math.matmul(x, y, name=name)
    if kind == "LogicalXor":
        return math.logical_xor(x, y, name)
    return apply(
        "Add" if kind == "AddV2" and x.dtype.base_dtype.name == "string" else kind, x, y, name=name
    )


def _forward(default: str, kind: str) -> Any:
    def operator(x: Any, y: Any) -> Any:
        with name_scope(None, default, [x, y]) as scope:
            left = convert(x)
            right = y if isinstance(y, Tensor) else convert(y, left.dtype.base_dtype, name="y")
            return _node(kind, left, right, scope)

    return operator


def _reverse(default: str, kind: str) -> Any:
    def operator(y: Any, x: Any) -> Any:
        with name_scope(None, default, [x, y]) as scope:
            right = convert(y)
            return _node(kind, convert(x, right.dtype.base_dtype, name="x"), right, scope)

    return operator


def _compare(kind: str) -> Any:
    return lambda x, y: apply(kind, x, y)


def _unary(kind: str) -> Any:
    return lambda x: apply(kind, x)


def install() -> None:
    """Put the operators on the classes."""
    for kind in (Tensor, Variable):
        for name, (default, node) in _BINARY.items():
            setattr(kind, f"__{name}__", _forward(default, node))
            setattr(kind, f"__r{name}__", _reverse(default, node))
        for name, node in _COMPARE.items():
            setattr(kind, f"__{name}__", _compare(node))
        for name, node in _UNARY.items():
            setattr(kind, f"__{name}__", _unary(node))
    Tensor.__getitem__ = getitem
    Variable.__getitem__ = lambda self, key: getitem(self._AsTensor(), key, self)


install()
