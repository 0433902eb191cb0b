"""Which function builds the gradient of a node: the table, what programs register, what has none."""

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any

from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.table import GRADIENTS

Rule = Callable[..., Any]
_OWN: dict[str, Rule | None] = {}  # what programs register

# Types through which TensorFlow passes no gradient, without an error.
NONE = frozenset((
    "All", "Any", "ApproximateEqual", "ArgMax", "ArgMin", "Assert", "Assign", "AssignAdd",
    "AssignAddVariableOp", "AssignSub", "AssignSubVariableOp", "AssignVariableOp", "Bincount",
    "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BroadcastGradientArgs", "Bucketize", "Ceil",
    "ConcatOffset", "Const", "CountUpTo", "DepthToSpaceGrad", "EditDistance", "Equal", "Floor",
    "FloorDiv", "Greater", "GreaterEqual", "HistogramSummary", "InTopK", "InTopKV2",
    "InvertPermutation", "IsFinite", "IsInf", "IsNan", "IsVariableInitialized", "Less", "LessEqual",
    "LinSpace", "ListDiff", "LogicalAnd", "LogicalNot", "LogicalOr", "LoopCond", "MergeSummary",
    "Multinomial", "NoOp", "NotEqual", "OnesLike", "Placeholder", "PlaceholderV2", "PyFunc",
    "PyFuncStateless", "RandomGamma", "RandomPoissonV2", "RandomShuffle", "RandomStandardNormal",
    "RandomUniform", "RandomUniformInt", "Range", "Rank", "Rint", "Round", "ScalarSummary",
    "ScatterAdd", "ScatterSub", "ScatterUpdate", "Shape", "ShapeN", "Size", "StopGradient",
    "TensorArrayCloseV3",
    "TensorArrayGradV3", "TensorArraySizeV3", "TensorArrayV3", "TruncatedNormal", "Unique",
    "VarHandleOp", "VarIsInitializedOp", "Variable", "VariableV2",
    "Where", "ZerosLike",
))  # fmt: skip


@cache
def _load() -> None:
    package = importlib.import_module("evenkeel.tf1.autodiff.rules")
    for found in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{found.name}")


def rule_of(op: Operation) -> tuple[Rule | None, bool]:
    """The function for a node, and whether a program registered it; LookupError without one."""
    _load()
    if not op.inputs:
        return None, False
    name = op.attrs.get("_gradient_op_type", op.type)
    if name in _OWN:
        return _OWN[name], True
    if name in GRADIENTS:
        return GRADIENTS[name], False
    if name in NONE:
        return None, False
    raise LookupError(
        f"No gradient defined for operation '{op.name}' (op type: {op.type}). In general every "
        "operation must have an associated `@tf.RegisterGradient` for correct autodiff."
    )


class RegisterGradient:
    """``@tf.RegisterGradient("Type")``: the function below it builds the gradient of a type.

    >>> @RegisterGradient("DocOnlyHalf")
    ... def half(op, grad):
    ...     return grad * 0.5
    """

    def __init__(self, op_type: str) -> None:
        if not isinstance(op_type, str):
            raise TypeError("op_type must be a string")
        self._type = op_type

    def __call__(self, f: Rule) -> Rule:
        """Keep ``f``."""
        _register(self._type, f)
        return f


def NotDifferentiable(op_type: str) -> None:  # noqa: N802  # TensorFlow's name
    """No gradient passes through nodes of this type."""
    if not isinstance(op_type, str):
        raise TypeError("op_type must be a string")
    _register(op_type, None)


NoGradient = NotDifferentiable


def _register(name: str, rule: Rule | None) -> None:
    _load()
    if name in _OWN or name in GRADIENTS or name in NONE:
        raise KeyError(f"Registering two gradient with name '{name}'!")
    _OWN[name] = rule
