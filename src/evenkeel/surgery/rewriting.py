"""A forward written anew, with activations and sums inside the layers they follow.

The module stays what it is: the same object with the same parts, tensors, hooks and flags. Its class
becomes a subclass of the one it had, whose forward is generated from the graph.
"""

from collections.abc import Callable, Collection
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node

from evenkeel.errors import BadShape
from evenkeel.nn.tracing import is_traced
from evenkeel.surgery.matching import Found, follow
from evenkeel.surgery.reading import Reading, read
from evenkeel.surgery.sites import is_bound
from evenkeel.surgery.source import Hidden


class FromGraph:
    """Mixed into a module's class: a forward from a graph, which pickle and deepcopy write out."""

    # The class as it was, the source, the objects it names, the modules it names.
    _from_graph: tuple[Any, ...] = ()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _revive, self._from_graph, self.__getstate__()


def from_graph(
    kind: type[nn.Module], source: str, names: dict[str, Any], modules: dict[str, str]
) -> type[nn.Module]:
    """A subclass of ``kind`` with the forward in ``source``, which uses ``names`` and ``modules``."""
    space = {**names, **{name: import_module(path) for name, path in modules.items()}}
    exec(compile(source, f"<forward of {kind.__name__}, rewritten by evenkeel>", "exec"), space)
    body = {
        "forward": space["forward"],
        "_from_graph": (kind, source, names, modules),
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
    }
    return type(kind.__name__, (FromGraph, kind), body)


def _revive(
    kind: type[nn.Module], source: str, names: dict[str, Any], modules: dict[str, str]
) -> nn.Module:
    made = from_graph(kind, source, names, modules)
    return made.__new__(made)


def generated(kind: type[nn.Module], graph: Graph) -> type[nn.Module]:
    """The subclass of ``kind`` with the forward that ``graph`` is."""
    graph.lint()
    code = graph.python_code("self")
    used = {name: value for name, value in code.globals.items() if name in code.src}
    modules = {n: v.__name__ for n, v in used.items() if isinstance(v, ModuleType)}
    names = {n: v for n, v in used.items() if n not in modules}
    return from_graph(kind, code.src, names, modules)


def origin(kind: type[nn.Module]) -> type[nn.Module]:
    """The class that ``kind`` was made from, or ``kind`` itself."""
    return kind._from_graph[0] if issubclass(kind, FromGraph) else kind


def rewritten(
    root: nn.Module, targets: dict[str, str], is_lone: Callable[[nn.Module], bool]
) -> type[nn.Module]:
    """The class with which ``root`` calls the layers at the paths ``targets`` with what follows them.

    ``targets`` gives the activation for each path. Modules on the way to these layers are read into,
    so that the new forward calls the layers itself; all others stay calls.

    Raises:  Hidden, saying why the forward cannot be written anew
    """
    check_copied(root)
    reading = read(root, _on_the_way(root, targets))
    check_holds(reading)
    for path, activation in targets.items():
        calls = [n for n in reading.graph.nodes if n.op == "call_module" and n.target == path]
        verdict = follow(reading, calls[0], is_lone) if len(calls) == 1 else None
        if not isinstance(verdict, Found) or verdict.activation != activation:
            raise Hidden("its forward reads differently when it is written anew")
        _splice(reading.graph, verdict)
    return generated(origin(type(root)), reading.graph)


def as_residual(residual: Tensor, x: Tensor) -> Tensor:
    """``residual`` as a layer takes it: broadcast to the shape of ``x``.

    Raises:  BadShape when the sum would be larger than ``x``, or of another dtype

    >>> as_residual(torch.ones(1, 3), torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    if is_traced(residual):
        tracer = residual.tracer  # type: ignore[attr-defined]  # is_traced said it is a Proxy
        node: Tensor = tracer.create_proxy("call_function", as_residual, (residual, x), {})
        return node
    if residual.shape == x.shape and residual.dtype == x.dtype:
        return residual
    if _sum_is_like(residual, x):
        return residual.to(x.dtype).expand(x.shape)
    raise BadShape(
        "this sum was fused into its batch-norm layer and does not have that layer's shape and dtype",
        got=f"{_described(residual)} added to {_described(x)}",
        do="convert with a probe batch, which tells before anything is changed, or add after expand",
    )


def _sum_is_like(residual: Tensor, x: Tensor) -> bool:
    try:
        shape = torch.broadcast_shapes(residual.shape, x.shape)  # type: ignore[no-untyped-call]
    except RuntimeError:
        return False
    return shape == x.shape and torch.result_type(residual, x) == x.dtype


def _described(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"


def check_copied(root: nn.Module) -> None:
    """Raise Hidden for a module whose class cannot be replaced without harm."""
    kind = origin(type(root))
    own = kind.__reduce_ex__ is not object.__reduce_ex__ or kind.__reduce__ is not object.__reduce__
    if own or "forward" in vars(root) or vars(root).get("_compiled_call_impl") is not None:
        raise Hidden(f"{kind.__name__} is pickled, called or compiled in a way of its own")


def check_holds(reading: Reading, *, by_mode: bool = False) -> None:
    """Raise Hidden for a graph that is not the forward; ``by_mode``: it may be that of one mode."""
    if reading.by_mode and not by_mode:
        raise Hidden("its forward depends on the mode (self.training)")
    if reading.own_tensors:
        raise Hidden("its forward makes tensors of its own")
    for node in reading.graph.nodes:
        if node.op == "output" and _holds_dict(node.args):
            raise Hidden("its forward returns a dictionary, whose class a graph does not keep")


def _holds_dict(value: object) -> bool:
    if isinstance(value, tuple | list):
        return any(_holds_dict(part) for part in value)
    return isinstance(value, dict)


def _on_the_way(root: nn.Module, targets: Collection[str]) -> list[nn.Module]:
    """The modules between ``root`` and the layers, outermost first."""
    between = {
        path.rsplit(".", depth)[0] for path in targets for depth in range(1, path.count(".") + 1)
    }
    modules = [root.get_submodule(path) for path in sorted(between)]
    # ModuleList and ModuleDict are places, not calls.
    calling = [m for m in modules if not isinstance(m, nn.ModuleList | nn.ModuleDict)]
    for module in calling:
        if is_bound(module):
            raise Hidden(f"{type(module).__name__} inside it carries hooks")
    return calling


def _splice(graph: Graph, found: Found) -> None:
    """Put one call of the layer in the place of the chain."""
    norm, last = found.chain[0], found.chain[-1]
    x = norm.args[0]
    with graph.inserting_before((found.residual and _sum(found)) or norm):
        options: dict[str, Any] = {}
        if found.residual is not None:
            options["residual"] = graph.call_function(as_residual, (found.residual, x))
        fused = graph.call_module(str(norm.target), (x,), options)
    last.replace_all_uses_with(fused)
    for node in reversed(found.chain):
        graph.erase_node(node)


def _sum(found: Found) -> Node:
    """The node that adds the residual."""
    return next(node for node in found.chain if found.residual in node.all_input_nodes)
