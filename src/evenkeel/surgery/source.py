"""What a forward's source says that a recorded graph would hide.

torch.fx runs a forward once with stand-ins for tensors. A decision about a stand-in raises, except
for a few kinds that quietly go one way (``x is None``, ``isinstance``), and contexts and writes to
the module leave no trace. A forward with any of those is not read.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import nn

_ASKING = {"isinstance", "hasattr", "type", "callable", "id"}
_FILLING = {"append", "extend", "add", "update", "insert", "setdefault", "pop", "clear"}
_KNOWN = {"torch", "math", "operator"}


class Hidden(Exception):
    """A forward does something that a graph of it would not show."""


def wrapped_functions(module: nn.Module) -> tuple[Callable[..., Any], ...]:
    """The plain functions that ``module``'s forward calls by name; a graph keeps each as one call.

    Raises:  Hidden when the forward does something that a graph would not show

    >>> wrapped_functions(nn.Sequential())
    ()
    """
    forward = type(module).forward
    if _is_plain(type(module)):
        return ()
    tree = _tree(forward)
    if any((tree.args.defaults, tree.args.kw_defaults, tree.args.vararg, tree.args.kwarg)):
        raise Hidden("its forward has optional arguments")
    found: dict[str, Callable[..., Any]] = {}
    seen: set[Any] = set()
    _scan(module, forward, found, seen)
    return tuple(found.values())


def takes_apart(module: nn.Module) -> bool:
    """Whether ``module``'s forward goes through parts of its own with loops or indices, or may.

    >>> takes_apart(nn.Sequential())
    False
    """
    if _is_plain(type(module)):
        return False
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(type(module).forward)))
    except (OSError, TypeError, SyntaxError):
        return True
    taken = [n.iter for n in ast.walk(tree) if isinstance(n, ast.For | ast.comprehension)]
    taken += [n.value for n in ast.walk(tree) if isinstance(n, ast.Subscript)]
    return any("self." in ast.unparse(expression) for expression in taken)


def _is_plain(kind: type[nn.Module]) -> bool:
    """Whether the forward is one without decisions: Sequential's, or generated from a graph."""
    generated = issubclass(kind, torch.fx.GraphModule) or getattr(kind, "_from_graph", False)
    return kind.forward is nn.Sequential.forward or generated


def _tree(function: Any) -> ast.FunctionDef:
    if not isinstance(function, FunctionType):
        raise Hidden("its forward is no plain function")
    return _parsed(function)


# A network has many modules of few classes: finding and parsing their sources took 40 % of a reading.
@lru_cache(maxsize=1024)
def _parsed(function: FunctionType) -> ast.FunctionDef:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError):
        raise Hidden("the source of its forward is not to be had") from None
    if not isinstance(tree, ast.FunctionDef) or tree.decorator_list:
        raise Hidden("its forward is decorated, or no plain function")
    return tree


def _scan(
    module: nn.Module, function: Any, found: dict[str, Callable[..., Any]], seen: set[Any]
) -> None:
    """Look through a method of ``module``, and through those that it calls."""
    seen.add(function)
    for node in ast.walk(_tree(function)):
        for reason in _reasons(node):
            raise Hidden(f"its forward {reason}")
        if isinstance(node, ast.Call):
            _scan_call(module, function, node.func, found, seen)


def _scan_call(
    module: nn.Module, function: Any, called: ast.expr, found: dict[str, Any], seen: set[Any]
) -> None:
    if isinstance(called, ast.Name):
        target = function.__globals__.get(called.id)
        if isinstance(target, FunctionType) and not _is_known(target.__module__):
            found[called.id] = target
    elif isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        if called.value.id == "self":
            _scan_own(module, called.attr, found, seen)
        owner = function.__globals__.get(called.value.id)
        if isinstance(owner, ModuleType) and not _is_known(owner.__name__):
            raise Hidden(f"its forward calls {owner.__name__}.{called.attr}")


def _scan_own(module: nn.Module, name: str, found: dict[str, Any], seen: set[Any]) -> None:
    kept = vars(module).get(name)
    if isinstance(kept, FunctionType) and not _is_known(kept.__module__):
        raise Hidden(f"its forward calls a function that it keeps as self.{name}")
    method = inspect.getattr_static(type(module), name, None)
    if isinstance(method, staticmethod | classmethod | property):
        raise Hidden(f"its forward calls self.{name}, which is no plain method")
    if isinstance(method, FunctionType) and method not in seen and not _is_known(method.__module__):
        _scan(module, method, found, seen)


def _is_known(name: str) -> bool:
    return name.split(".")[0] in _KNOWN


def _reasons(node: ast.AST) -> Iterator[str]:
    """What this piece of source does that a graph would hide."""
    if isinstance(node, ast.With | ast.AsyncWith):
        yield "enters a context (with …)"
    elif isinstance(node, ast.Try | ast.Global | ast.Nonlocal):
        yield "catches errors or sets global names"
    elif isinstance(node, ast.Compare) and _asks_identity(node):
        yield f"asks `{ast.unparse(node)}`"
    elif isinstance(node, ast.Call):
        yield from _call_reasons(node)
    elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
        yield f"writes to {ast.unparse(node)}"


def _asks_identity(node: ast.Compare) -> bool:
    identity = any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops)
    return identity and any(isinstance(v, ast.Name) for v in (node.left, *node.comparators))


def _call_reasons(node: ast.Call) -> Iterator[str]:
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name in _ASKING or name == "super" or name.startswith("is_") or "checkpoint" in name:
        yield f"calls {name}"
    elif name in _FILLING and isinstance(called, ast.Attribute) and _is_own(called.value):
        yield f"calls {ast.unparse(called)}"


def _is_own(value: ast.expr) -> bool:
    return isinstance(value, ast.Attribute) and ast.unparse(value).startswith("self.")
