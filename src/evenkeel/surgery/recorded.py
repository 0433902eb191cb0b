"""Linear operations before batch-norm layers, seen in one run where no forward could be read."""

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

from evenkeel.surgery.linear import linear_kind
from evenkeel.surgery.probe import run
from evenkeel.surgery.sites import NORMS

# What asks a tensor for its sizes and not for its values.
_ASKING = {"__get__", "size", "dim", "ndimension", "numel", "is_floating_point", "is_contiguous"}


class Seen(NamedTuple):
    """A linear operation's path, and whether the layer got its input alone."""

    linear: str
    plain: bool


def seen_before(model: nn.Module, probe: Any) -> dict[str, Seen]:
    """For each layer the linear operation whose output it got, and nobody else did, by path.

    A copy of the model runs once on the probe, in inference. Both are called once in that run.

    >>> seen_before(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), torch.ones(4, 2))
    {'1': Seen(linear='0', plain=True)}
    """
    watch = _Watch(copy.deepcopy(model).eval())
    with torch.random.fork_rng(devices=[]), torch.no_grad(), watch.hooked(), watch:
        outputs = run(watch.model, copy.deepcopy(probe))
    leaving = {id(value) for value in tree_leaves(_plain(outputs))}
    takers = Counter(value for _, value in watch.pairs.values())
    return {
        norm: seen
        for norm, (seen, value) in watch.pairs.items()
        if watch.calls[norm] == watch.calls[seen.linear] == 1
        and not watch.uses.get(value)
        and takers[value] == 1
        and value not in leaving
    }


class _Watch(TorchFunctionMode):
    """Sees which tensors the linear operations give, and who gets them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.calls: dict[str, int] = {}
        self.uses: dict[int, int] = {}
        self.pairs: dict[str, tuple[Seen, int]] = {}
        self._made: dict[int, tuple[str, Tensor]] = {}  # kept, so that no other tensor gets its id
        self._inside = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if not self._inside and getattr(func, "__name__", "") not in _ASKING:
            for value in tree_leaves((args, kwargs)):
                if id(value) in self._made:
                    self.uses[id(value)] = self.uses.get(id(value), 0) + 1
        return func(*args, **(kwargs or {}))

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Hooks on the linear operations and the layers, while the block lasts."""
        handles: list[RemovableHandle] = []
        for path, module in self.model.named_modules():
            if linear_kind(module) is not None:
                handles.append(module.register_forward_hook(self._linear(path)))
            elif isinstance(module, NORMS):
                enter = module.register_forward_pre_hook(self._enter(path), with_kwargs=True)
                handles += [enter, module.register_forward_hook(self._leave)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _linear(self, path: str) -> Any:
        def hook(module: nn.Module, args: Any, y: Tensor) -> None:
            self.calls[path] = self.calls.get(path, 0) + 1
            self._made[id(y)] = path, y

        return hook

    def _enter(self, path: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
            self.calls[path] = self.calls.get(path, 0) + 1
            self._inside += 1
            x = args[0] if args else None
            if id(x) in self._made:
                linear = self._made[id(x)][0]
                self.pairs[path] = Seen(linear, len(args) == 1 and not options), id(x)

        return hook

    def _leave(self, module: nn.Module, args: Any, y: Any) -> None:
        self._inside -= 1


def _plain(outputs: Any) -> Any:
    """Outputs with what a mapping of its own kind holds, as the outputs of transformers are."""
    return dict(outputs) if hasattr(outputs, "keys") else outputs
