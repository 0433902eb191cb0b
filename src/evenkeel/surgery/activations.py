"""Which modules and calls in a graph are activations that a layer of ours can apply."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import nn
from torch.fx import Node
from torch.nn import functional as F


class Row(NamedTuple):
    """An activation: its name in ``kernels.activations`` and the parameters it must have there."""

    name: str
    parameters: Mapping[str, object] = {}


RELU, RELU6, SILU, HARDSWISH = Row("relu"), Row("relu6"), Row("silu"), Row("hardswish")
SIGMOID, TANH = Row("sigmoid"), Row("tanh")
LEAKY, ELU = Row("leaky_relu", {"negative_slope": 0.01}), Row("elu", {"alpha": 1.0})
GELU = Row("gelu", {"approximate": "none"})

MODULES: dict[type, Row] = {
    nn.ReLU: RELU,
    nn.ReLU6: RELU6,
    nn.LeakyReLU: LEAKY,
    nn.ELU: ELU,
    nn.SiLU: SILU,
    nn.Hardswish: HARDSWISH,
    nn.Sigmoid: SIGMOID,
    nn.Tanh: TANH,
    nn.GELU: GELU,
}
_IN_PLACE = (RELU, RELU6, LEAKY, ELU)  # whose backward needs their output only


def module_of(name: str, *, inplace: bool = False) -> nn.Module:
    """The module of torch's that is the activation ``name``.

    >>> module_of("relu", inplace=True)
    ReLU(inplace=True)
    """
    kind, row = next((kind, row) for kind, row in MODULES.items() if row.name == name)
    built: nn.Module = kind(inplace=True) if inplace and row in _IN_PLACE else kind()
    return built


def runs_in_place(module: nn.Module | None) -> TypeGuard[nn.Module]:
    """Whether ``module`` is an activation that may write over its input.

    >>> runs_in_place(nn.ReLU()), runs_in_place(nn.SiLU())
    (True, False)
    """
    return MODULES.get(type(module)) in _IN_PLACE


FUNCTIONS: dict[Callable[..., Any], Row] = {
    **dict.fromkeys((F.relu, F.relu_, torch.relu, torch.relu_), RELU),
    **dict.fromkeys((F.leaky_relu, F.leaky_relu_), LEAKY),
    **dict.fromkeys((F.elu, F.elu_), ELU),
    **dict.fromkeys((F.sigmoid, torch.sigmoid, torch.sigmoid_), SIGMOID),
    **dict.fromkeys((F.tanh, torch.tanh, torch.tanh_), TANH),
    F.relu6: RELU6,
    F.silu: SILU,
    F.hardswish: HARDSWISH,
    F.gelu: GELU,
}
METHODS = {
    **dict.fromkeys(("relu", "relu_"), RELU),
    **dict.fromkeys(("sigmoid", "sigmoid_"), SIGMOID),
    **dict.fromkeys(("tanh", "tanh_"), TANH),
}
ADDS = (operator.add, operator.iadd, torch.add, "add", "add_")
ADDS_IN_PLACE = (operator.iadd, "add_")
_CHANGING = {operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.setitem}


def activation_of(node: Node, module: nn.Module | None) -> Row | str:
    """The row of the activation that ``node`` is; else a word about what it is.

    ``module`` is the one that the node calls, if it calls one.
    """
    if module is not None:
        row = MODULES.get(type(module))
        given = vars(module)
    elif node.op in ("call_function", "call_method"):
        table: Mapping[Any, Row] = FUNCTIONS if node.op == "call_function" else METHODS
        row, given = table.get(node.target), node.kwargs
    else:
        row, given = None, {}
    name = named(node, module)
    if row is None:
        return f"{name}, which is no activation that a layer of ours can apply"
    if "out" in node.kwargs:
        return f"{name} with out="
    given = {**dict(zip(row.parameters, node.args[1:], strict=False)), **given}
    for parameter, value in row.parameters.items():
        if given.get(parameter, value) != value:
            return f"{name} with {parameter}={given[parameter]}; ours has {value}"
    return row


def named(node: Node, module: nn.Module | None) -> str:
    """What ``node`` calls, for people."""
    if module is not None:
        return f"{type(module).__name__} {node.target}"
    return str(getattr(node.target, "__name__", node.target))


def is_in_place(node: Node, module: nn.Module | None) -> bool:
    """Whether ``node`` may write into its first argument."""
    if module is not None:
        return bool(getattr(module, "inplace", False))
    name = str(getattr(node.target, "__name__", node.target))
    written = name.endswith("_") and not name.endswith("__")
    return written or node.target in _CHANGING or bool(node.kwargs.get("inplace"))
