"""A forward as a graph: what calls what, read without running anything."""

import operator
import random
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partialmethod
from typing import Any

import torch
from torch import nn
from torch.fx import Graph

from evenkeel.surgery.source import Hidden, wrapped_functions


@dataclass(frozen=True, slots=True)
class Reading:
    """The graph of ``root``'s forward, and whether it holds for one state of the module only.

    ``by_mode``: the forward reads ``self.training``. ``own_tensors``: it makes tensors, which stand in
    the graph as constants.
    """

    root: nn.Module
    graph: Graph
    by_mode: bool
    own_tensors: bool

    def module(self, node: torch.fx.Node) -> nn.Module | None:
        """The module that ``node`` calls, if it calls one."""
        return self.root.get_submodule(str(node.target)) if node.op == "call_module" else None


class _Proxy(torch.fx.Proxy):
    """A stand-in for a tensor that keeps `y += z` apart from `y = y + z`; torch.fx makes both a sum."""

    def _in_place(self, operation: Callable[..., Any], other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operation, (self, other), {})

    __iadd__ = partialmethod(_in_place, operator.iadd)
    __isub__ = partialmethod(_in_place, operator.isub)
    __imul__ = partialmethod(_in_place, operator.imul)
    __itruediv__ = partialmethod(_in_place, operator.itruediv)


class _Tracer(torch.fx.Tracer):
    """Goes into the modules in ``open_ids`` and keeps every other call as one node."""

    proxy_buffer_attributes = True  # else a write to a buffer would happen here and now

    def __init__(
        self, open_ids: Collection[int], functions: tuple[Callable[..., Any], ...]
    ) -> None:
        super().__init__(autowrap_functions=functions)
        self._open = open_ids

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return id(m) not in self._open

    def proxy(self, node: torch.fx.Node) -> torch.fx.Proxy:
        return _Proxy(node, self)


def read(root: nn.Module, into: Collection[nn.Module]) -> Reading:
    """The graph of ``root``'s forward, which also goes into the forwards of ``into``.

    Raises:  Hidden, saying why the forward cannot be read

    >>> print(read(nn.Sequential(nn.ReLU()), []).graph)
    graph():
        %input_1 : [num_users=1] = placeholder[target=input]
        %_0 : [num_users=1] = call_module[target=0](args = (%input_1,), kwargs = {})
        return _0
    """
    functions = [f for module in (root, *into) for f in wrapped_functions(module)]
    tracer = _Tracer({id(module) for module in into}, tuple(functions))
    before = dict(vars(root))
    try:
        with _mode_watched() as asked, _chance_watched():
            graph = tracer.trace(root)
    except Hidden:
        raise
    except Exception as error:  # noqa: BLE001 -- a forward may raise anything when it gets a stand-in
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Hidden(f"its forward does not trace ({first[:90]})") from None
    finally:
        added = set(vars(root)) - set(before)
        for name in added:  # torch.fx parks constants on the module
            del vars(root)[name]
    return Reading(root, graph, bool(asked), bool(added))


@contextmanager
def flipped(root: nn.Module) -> Iterator[None]:
    """Every part of ``root`` in the other mode, and back again."""
    modes = [(module, module.training) for module in root.modules()]
    try:
        for module, mode in modes:
            module.training = not mode
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _mode_watched() -> Iterator[list[nn.Module]]:
    """The modules that are asked for ``training`` inside the block."""
    asked: list[nn.Module] = []

    def training(module: nn.Module) -> bool:
        asked.append(module)
        return bool(vars(module)["training"])

    # A property of the class stands before the attribute of the object. torch.fx patches the same
    # class for the time of a trace.
    nn.Module.training = property(training)  # type: ignore[assignment]
    try:
        yield asked
    finally:
        del nn.Module.training


@contextmanager
def _chance_watched() -> Iterator[None]:
    """Raise Hidden when the block draws random numbers, which are put back."""
    state, plain = torch.get_rng_state(), random.getstate()
    try:
        yield
        drawn = not torch.equal(state, torch.get_rng_state()) or plain != random.getstate()
    finally:
        torch.set_rng_state(state)
        random.setstate(plain)
    if drawn:
        raise Hidden("its forward draws random numbers")
