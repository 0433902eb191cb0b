"""Functional calls made modules: F.conv2d(x, self.w) then F.batch_norm(x, self.mean, …).

A forward that normalizes by a function is written anew with modules over the same tensors, so that one
folding knows both. Only inference is kept: the new forward is the one that the model has now.
"""

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node
from torch.nn import functional as F

from evenkeel.nn import BatchNorm
from evenkeel.surgery.change import Journal
from evenkeel.surgery.reading import Reading, read
from evenkeel.surgery.rewriting import check_copied, check_holds, generated, origin
from evenkeel.surgery.sites import NORMS
from evenkeel.surgery.source import Hidden

_NAMED = re.compile(r"\b(batch_norm|conv(_transpose)?[123]d|linear)\(")
_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_BACK = (
    *("input", "weight", "bias", "stride", "padding"),
    *("output_padding", "groups", "dilation"),
)


class Row(NamedTuple):
    """A function of torch's: the module that does the same, and the names of its arguments."""

    kind: type[nn.Module]
    names: tuple[str, ...]


LINEAR: dict[Any, Row] = {
    F.linear: Row(nn.Linear, ("input", "weight", "bias")),
    F.conv1d: Row(nn.Conv1d, _CONV),
    F.conv2d: Row(nn.Conv2d, _CONV),
    F.conv3d: Row(nn.Conv3d, _CONV),
    F.conv_transpose1d: Row(nn.ConvTranspose1d, _BACK),
    F.conv_transpose2d: Row(nn.ConvTranspose2d, _BACK),
    F.conv_transpose3d: Row(nn.ConvTranspose3d, _BACK),
}
NORM: dict[Any, tuple[str, ...]] = {F.batch_norm: _NORM}


def lift(model: nn.Module, journal: Journal) -> dict[str, str]:
    """Make modules of the functional calls around normalization; the places where that failed, why.

    A class whose source is not to be had is left as it is.

    >>> lift(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), Journal())
    {}
    """
    failed = {}
    for place, root in list(model.named_modules()):
        words = _words(root)
        if not words:
            continue
        try:
            reason = _lift(root, journal)
        except Hidden as hidden:
            reason = str(hidden) if "batch_norm" in words else ""
        if reason:
            failed[place] = reason
    return failed


def _words(root: nn.Module) -> set[str]:
    """The functions in question that the source of a module's class names."""
    kind = origin(type(root))
    ours = kind.__module__.startswith(("torch.", "evenkeel."))
    if ours or isinstance(root, NORMS) or kind.forward is nn.Module.forward:
        return set()
    try:
        return {match[1] for match in _NAMED.finditer(inspect.getsource(kind))}
    except (OSError, TypeError):
        return set()


def _lift(root: nn.Module, journal: Journal) -> str:
    """Lift what can be; a reason where a normalization could not."""
    check_copied(root)
    reading = read(root, [])
    wanted = {node: made for node in reading.graph.nodes if (made := _module(reading, node))}
    norms = [node for node in reading.graph.nodes if _is_norm(reading, node, wanted)]
    near = {n for norm in norms for n in (*norm.all_input_nodes[:1], *norm.users, norm)}
    wanted = {node: made for node, made in wanted.items() if node in near}
    left = [n for n in reading.graph.nodes if n.target in NORM and n not in wanted]
    reason = f"{left[0]} has statistics of the batch, or tensors not its own" if left else ""
    if not wanted:
        return reason
    check_holds(reading, by_mode=True)
    journal.remember(root)
    vars(root)["_modules"] = dict(root._modules)
    for node, module in wanted.items():
        name = _free_name(root, node.name)
        root._modules[name] = module
        with reading.graph.inserting_before(node):
            call = reading.graph.call_module(name, (node.args[0],))
        node.replace_all_uses_with(call)
        reading.graph.erase_node(node)
    _drop(root, reading.graph)
    root.__class__ = generated(origin(type(root)), reading.graph)
    return reason


def _is_norm(reading: Reading, node: Node, wanted: dict[Node, nn.Module]) -> bool:
    return isinstance(wanted.get(node), NORMS) or isinstance(reading.module(node), NORMS)


def _module(reading: Reading, node: Node) -> nn.Module | None:
    """The module that does what ``node`` calls; None for what is no such call."""
    row = LINEAR.get(node.target) if node.op == "call_function" else None
    names = row.names if row else NORM.get(node.target) if node.op == "call_function" else None
    if names is None or not node.args or len(node.args) > len(names):
        return None
    given: dict[str, Any] = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    tensors: dict[str, Tensor] = {}
    for name in ("weight", "bias", "running_mean", "running_var"):
        held = given.pop(name, None)
        if held is None:
            continue
        value = _held(reading.root, held)
        if value is None:
            return None
        tensors[name] = value
    given.pop("input", None)
    if any(isinstance(value, Node) for value in given.values()):
        return None
    return _linear(row.kind, tensors, given) if row else _norm(tensors, given)


def _held(root: nn.Module, node: Any) -> Tensor | None:
    """The parameter or buffer that ``node`` reads."""
    if not isinstance(node, Node) or node.op != "get_attr":
        return None
    owner, _, name = str(node.target).rpartition(".")
    part = root.get_submodule(owner)
    return part._parameters.get(name, part._buffers.get(name))


def _linear(kind: type[nn.Module], tensors: dict[str, Tensor], given: dict[str, Any]) -> nn.Module:
    weight = tensors["weight"]
    build: Callable[..., nn.Module] = kind
    options = {**given, "bias": "bias" in tensors, "device": "meta", "dtype": weight.dtype}
    if kind is nn.Linear:
        made = build(weight.shape[1], weight.shape[0], **options)
    else:
        groups = given.get("groups", 1)
        ends = weight.shape[0], weight.shape[1] * groups
        if not issubclass(kind, nn.modules.conv._ConvTransposeNd):
            ends = ends[1], ends[0]
        made = build(*ends, tuple(weight.shape[2:]), **options)
    return _over(made, tensors)


def _norm(tensors: dict[str, Tensor], given: dict[str, Any]) -> nn.Module | None:
    if given.pop("training", False) or not {"running_mean", "running_var"} <= tensors.keys():
        return None
    made = BatchNorm(
        len(tensors["running_mean"]),
        given.get("eps", 1e-5),
        given.get("momentum", 0.1),
        device="meta",
        scale="weight" in tensors,
        center="bias" in tensors,
    )
    made._buffers["num_batches_tracked"] = torch.tensor(0)
    return _over(made, tensors)


def _over(made: nn.Module, tensors: dict[str, Tensor]) -> nn.Module:
    """``made`` over these tensors, in inference."""
    for name, value in tensors.items():
        if name in made._buffers:
            made._buffers[name] = value
        else:
            whole = isinstance(value, nn.Parameter)
            made._parameters[name] = value if whole else nn.Parameter(value, requires_grad=False)  # type: ignore[assignment]
    return made.eval()


def _free_name(root: nn.Module, name: str) -> str:
    while hasattr(root, name):
        name += "_"
    return name


def _drop(root: nn.Module, graph: Graph) -> None:
    """Take what no call reads any more from the graph, and its tensors from the module."""
    vars(root).update(_parameters=dict(root._parameters), _buffers=dict(root._buffers))
    idle = [node for node in graph.nodes if node.op == "get_attr" and not node.users]
    kept = {node.target for node in graph.nodes if node.op == "get_attr" and node.users}
    for node in idle:
        graph.erase_node(node)
        if node.target not in kept:
            root._parameters.pop(str(node.target), None)
            root._buffers.pop(str(node.target), None)
