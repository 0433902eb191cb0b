"""One forward as a graph of what ran: the operations, whose outputs each took, where channels stood.

A recorded run needs no source and no tracing: it sees what data-dependent forwards did.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakIdKeyDictionary

from evenkeel.surgery.linear import linear_kind
from evenkeel.surgery.sites import NORMS

# What asks a tensor for its sizes and not for its values.
_ASKING = {"__get__", "size", "dim", "ndimension", "numel", "is_floating_point", "is_contiguous"}
_MOVING = {"permute", "transpose", "swapaxes"}
_LINEAR_CALLS = {"conv1d": 1, "conv2d": 1, "conv3d": 1, "linear": -1}


@dataclass(slots=True)
class Node:
    """A call: what ran, its module, whose outputs it took; then the channel axis of what it gave.

    ``flattened``: how many positions of a map became channels on the way here.
    """

    kind: str
    path: str
    module: nn.Module | None
    sources: tuple[int, ...]
    shape: tuple[int, ...] = ()
    axis: int | None = None
    flattened: int = 1
    training: bool | None = None
    users: list[int] = field(default_factory=list)


class Recording(TorchFunctionMode):
    """The graph of one forward of ``model``, made while ``recorded`` lasts."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.outputs: set[int] = set()
        self.blind = True  # no output yet, or one that came out of nowhere: something ran unseen
        self._model, self._inside, self._ended = model, 0, False
        self._made = WeakIdKeyDictionary()

    @contextmanager
    def recorded(self) -> Iterator["Recording"]:
        """Record what runs inside the block."""
        handles: list[RemovableHandle] = [
            self._model.register_forward_pre_hook(self._begin, with_kwargs=True)
        ]
        for path, module in self._model.named_modules():
            if isinstance(module, NORMS) or linear_kind(module) or not list(module.children()):
                handles.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
                handles.append(
                    module.register_forward_hook(
                        self._leave(path), with_kwargs=True, always_call=True
                    )
                )
        handles.append(self._model.register_forward_hook(self._end))
        try:
            with self:
                yield self
        finally:
            for handle in handles:
                handle.remove()

    def calls_of(self, module: nn.Module) -> list[int]:
        """The nodes that called ``module``."""
        return [i for i, node in enumerate(self.nodes) if node.module is module]

    def reaches_output(self) -> set[int]:
        """Every node on which an output depends."""
        seen, waiting = set(self.outputs), list(self.outputs)
        while waiting:
            for source in self.nodes[waiting.pop()].sources:
                if source not in seen:
                    seen.add(source)
                    waiting.append(source)
        return seen

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if not self._inside and not self._ended and name not in _ASKING:
            self._note(name, args, kwargs or {}, given)
        return given

    def _note(self, name: str, args: Any, kwargs: Any, given: Any) -> None:
        values = [v for v in tree_leaves(given) if isinstance(v, Tensor)]
        if values:
            sources = self._sources((args, kwargs))
            node = self._keep(name, "", None, sources, values[0])
            for value in values[1:]:
                self._made[value] = len(self.nodes) - 1
            if name in _MOVING and sources:
                node.axis = _moved(name, args, self.nodes[sources[0]].axis, len(node.shape))
            if name == "batch_norm" and len(args) > 5:
                node.training = bool(args[5])

    def _begin(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        for value in () if self._ended else tensors_of((args, kwargs)):
            self._keep("input", "", None, (), value)

    def _end(self, module: nn.Module, args: Any, outputs: Any) -> None:
        """The first forward of the model ends the recording."""
        if self._ended:
            return
        self._ended = True
        values = tensors_of(outputs)
        found = {self._made[v] if v in self._made else None for v in values}  # noqa: SIM401  # untyped
        self.blind = None in found
        self.outputs = {index for index in found if index is not None}
        for index, node in enumerate(self.nodes):
            for source in set(node.sources):
                self.nodes[source].users.append(index)

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._inside += 1

    def _leave(self, path: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any, y: Any) -> None:
            self._inside -= 1
            values = tensors_of(y)
            if values and not self._inside and not self._ended:
                sources = self._sources((args, kwargs))
                self._keep(type(module).__name__, path, module, sources, values[0])

        return hook

    def _sources(self, values: Any) -> tuple[int, ...]:
        return tuple(self._made[v] for v in tensors_of(values) if v in self._made)

    def _keep(
        self, kind: str, path: str, module: nn.Module | None, sources: tuple[int, ...], y: Tensor
    ) -> Node:
        node = Node(kind, path, module, sources, tuple(y.shape))
        first = self.nodes[sources[0]] if sources else None
        node.axis, node.flattened = _channels(node, first)
        self._made[y] = len(self.nodes)
        self.nodes.append(node)
        return node


def tensors_of(value: Any) -> list[Tensor]:
    """Every tensor in nested values, those of a transformers output too."""
    plain = dict(value) if hasattr(value, "keys") else value
    found: list[Tensor] = []
    for leaf in tree_leaves(plain):
        if isinstance(leaf, Tensor):
            found.append(leaf)
        elif hasattr(leaf, "keys"):
            found += tensors_of(leaf)
    return found


def _channels(node: Node, first: Node | None) -> tuple[int | None, int]:
    """Where the channels of the output stand, and the positions flattened into them."""
    kind = linear_kind(node.module) if node.module is not None else None
    if kind is not None or node.kind in _LINEAR_CALLS:
        last = kind is nn.Linear or node.kind == "linear"
        return (len(node.shape) - 1 if last else 1), 1
    if first is None or first.axis is None:
        return None, 1
    if node.shape == first.shape or (
        len(node.shape) == len(first.shape) and node.shape[first.axis] == first.shape[first.axis]
    ):
        return first.axis, first.flattened
    whole = len(node.shape) == 2 and len(first.shape) > 2 and node.shape[0] == first.shape[0]
    if whole and node.shape[1] == prod(first.shape[1:]):
        return 1, first.flattened * (node.shape[1] // first.shape[first.axis])
    return (1, first.flattened) if whole and node.shape[1] == first.shape[first.axis] else (None, 1)


def _moved(name: str, args: Any, axis: int | None, rank: int) -> int | None:
    """The channel axis after a permute or a transpose, whose input had it at ``axis``.

    >>> _moved("permute", (None, 0, 2, 1), 1, 3)
    2
    """
    dims = args[1] if len(args) == 2 and isinstance(args[1], tuple | list) else args[1:]
    if axis is None or not all(isinstance(d, int) for d in dims):
        return None
    dims = [d % rank for d in dims]
    if name == "permute":
        return dims.index(axis) if axis in dims else None
    return {dims[0]: dims[1], dims[1]: dims[0]}.get(axis, axis) if len(dims) == 2 else None
