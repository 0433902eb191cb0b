"""The linear operation before or after each batch-norm layer, as all readable forwards tell it."""

import ast
import inspect
import textwrap
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.fx import Node

from evenkeel.surgery.activations import named
from evenkeel.surgery.decision import is_called, outwards, taken_apart
from evenkeel.surgery.linear import linear_kind
from evenkeel.surgery.reading import Reading, read
from evenkeel.surgery.rewriting import as_residual
from evenkeel.surgery.sites import NORMS, holds_norm, is_bound
from evenkeel.surgery.source import Hidden

_PASSING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
UNSEEN = "its neighbours were not seen"
NOTHING = "nothing in the model stands beside it"
# What a function may ask a linear operation for without using it.
_HARMLESS = {
    *("stride", "kernel_size", "dilation", "padding", "groups", "padding_mode", "output_padding"),
    *("in_channels", "out_channels", "in_features", "out_features", "training"),
}


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A linear operation that stands before or after a layer and nowhere else.

    ``flat``: the values between them are flattened. ``plain``: the layer is called with its input
    alone.
    """

    linear: nn.Module
    flat: bool
    plain: bool


@dataclass(frozen=True, slots=True)
class Border:
    """The value comes from further out, or goes there."""


Verdict = Neighbour | Border | str


@dataclass(slots=True)
class Readings:
    """Every forward of a model that could be read, innermost first; the others with the reason."""

    opened: list[tuple[str, Reading]] = field(default_factory=list)
    closed: dict[str, str] = field(default_factory=dict)
    calling: dict[str, nn.Module] = field(default_factory=dict)


def readings(model: nn.Module) -> Readings:
    """Read the forwards of all modules that hold batch-norm layers, in the mode they have."""
    found = Readings()
    into: list[nn.Module] = []
    for place, root in reversed(list(model.named_modules())):
        if isinstance(root, NORMS) or not is_called(root):
            continue
        if holds_norm(root):
            found.calling[place] = root
            try:
                found.opened.append((place, _read(root, into)))
            except Hidden as reason:
                found.closed[place] = str(reason)
                continue
        elif type(root) is not nn.Sequential:
            continue
        if not is_bound(root):
            into.append(root)
    return found


def neighbour(norm: nn.Module, path: str, side: str, found: Readings) -> Neighbour | str:
    """The linear operation on one side ("before", "after") of a layer; else why there is none."""
    seen = [
        (place, reading, _verdict(reading, norm, side))
        for place, reading in found.opened
        if calls_of(reading, norm)
    ]
    inner = [entry for entry in seen if not isinstance(entry[2], Border)]
    if not inner:
        return _unseen(path, found)
    place, reading, first = inner[0]
    for further, _, verdict in inner[1:]:
        if _meaning(verdict) != _meaning(first):
            return f"{further or 'the model'} uses it in another way than {place}: {_told(verdict)}"
    if not isinstance(first, Neighbour):
        return str(first)
    plain = all(verdict.plain for _, _, verdict in inner if isinstance(verdict, Neighbour))
    reason = taken_apart(place, reading.root, found.calling, found.closed)
    return reason or replace(first, plain=plain)


def _meaning(verdict: Verdict) -> tuple[object, ...]:
    """What two readings of one place agree on when they tell the same."""
    if isinstance(verdict, Neighbour):
        return id(verdict.linear), verdict.flat
    return (verdict,)


def _told(verdict: Verdict) -> str:
    return verdict if isinstance(verdict, str) else "with another linear operation beside it"


def calls_of(reading: Reading, module: nn.Module) -> list[Node]:
    """The nodes that call ``module``."""
    return [node for node in reading.graph.nodes if reading.module(node) is module]


def _read(root: nn.Module, into: list[nn.Module]) -> Reading:
    if "forward" in vars(root):
        raise Hidden("its forward was replaced on this one object")
    inside = {id(part) for part in root.modules() if part is not root}
    return read(root, [module for module in into if id(module) in inside])


def _unseen(path: str, found: Readings) -> str:
    for place in outwards(path):
        if place in found.closed:
            return f"{UNSEEN}: {place or 'the model'}: {found.closed[place]}"
    return NOTHING


def _verdict(reading: Reading, norm: nn.Module, side: str) -> Verdict:
    calls = calls_of(reading, norm)
    ends = [_end(reading, call, side) for call in calls]
    for end in ends:
        if isinstance(end, str):
            return end
    if any(isinstance(end, Border) for end in ends):
        return Border() if len(ends) == 1 else "it is called in several ways"
    pairs = [end for end in ends if isinstance(end, tuple)]
    linear = reading.module(pairs[0][0])
    if linear is None or any(reading.module(node) is not linear for node, _ in pairs):
        return f"it is called {len(calls)} times, with several linear operations"
    elsewhere = _elsewhere(reading, linear)
    plain = all(len(call.args) == 1 and not call.kwargs for call in calls)
    return elsewhere or Neighbour(linear, pairs[0][1], plain)


def _end(reading: Reading, call: Node, side: str) -> tuple[Node, bool] | Border | str:
    """The node of the linear operation, and whether a flatten lies between."""
    flat, node = False, call
    while True:
        step = _back(reading, node) if side == "before" else _forth(reading, node)
        if not isinstance(step, Node):
            return step
        node, module = step, reading.module(step)
        if linear_kind(module) is not None:
            return _linear_end(node) or (node, flat)
        if module is not None and is_bound(module):
            return f"{node.target} beside it carries hooks"
        if _is_flatten(node, module):
            flat = True
        elif not _passes(module):
            return f"{_word(side)} {named(node, module)}, which is no linear operation to fold into"


def _linear_end(node: Node) -> str:
    if len(node.args) != 1 or node.kwargs:
        return f"{node.target} is called with more than its input"
    return ""


def _back(reading: Reading, node: Node) -> Node | Border | str:
    """What gives ``node`` its input, if nothing else gets that value."""
    if not node.args or not isinstance(node.args[0], Node):
        return "it is called with more than its input"
    source = node.args[0]
    if source.op == "placeholder":
        return Border()
    users = [user for user in source.users if not _asks_shape(user, source)]
    if len(users) != 1:
        return f"its input has {_consumers(reading, source)}"
    return source


def _forth(reading: Reading, node: Node) -> Node | Border | str:
    """The one consumer of ``node``."""
    users = list(node.users)
    if len(users) != 1:
        return f"its output has {_consumers(reading, node)}"
    if users[0].op == "output":
        return Border()
    return users[0]


def _asks_shape(user: Node, x: Node) -> bool:
    """Whether a fused sum asks ``x`` for its shape alone."""
    return user.target is as_residual and user.args[0] is not x


def _consumers(reading: Reading, node: Node) -> str:
    names = ", ".join(named(user, reading.module(user)) for user in node.users) or "none"
    return f"{len(node.users)} consumers: {names}"


def _word(side: str) -> str:
    return "it stands after" if side == "before" else "it is followed by"


def _passes(module: nn.Module | None) -> bool:
    """Whether a module hands on what it gets: dropout does in inference."""
    return type(module) in _PASSING and (type(module) is nn.Identity or not _trains(module))


def _trains(module: nn.Module | None) -> bool:
    return module is not None and module.training


def _is_flatten(node: Node, module: nn.Module | None) -> bool:
    """Whether ``node`` flattens everything but the batch."""
    if module is not None:
        return type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)
    known = (node.op, node.target) in (("call_function", torch.flatten), ("call_method", "flatten"))
    return known and node.args[1:] == (1,) and not node.kwargs


def _elsewhere(reading: Reading, linear: nn.Module) -> str:
    """Where else the linear operation is used; "" for nowhere."""
    nodes = calls_of(reading, linear)
    if len(nodes) > 1:
        return f"{nodes[0].target} is called {len(nodes)} times"
    path = str(nodes[0].target)
    for node in reading.graph.nodes:
        mine = str(node.target) == path or str(node.target).startswith(f"{path}.")
        if node.op == "get_attr" and mine and not all(_only_asks(u, node) for u in node.users):
            return f"{node.target} is also used by {', '.join(str(user) for user in node.users)}"
    return ""


def _only_asks(user: Node, given: Node) -> bool:
    """Whether a function gets a linear operation only to ask for its sizes."""
    if user.op != "call_function" or user.kwargs or not callable(user.target):
        return False
    try:
        tree: Any = ast.parse(textwrap.dedent(inspect.getsource(user.target))).body[0]
    except (OSError, TypeError, SyntaxError):
        return False
    names = {a.arg for a, v in zip(tree.args.args, user.args, strict=False) if v is given}
    asked = {
        id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in _HARMLESS
    }
    uses = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in names]
    return bool(uses) and all(id(use) in asked for use in uses)
