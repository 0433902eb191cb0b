"""Which kernel ran, and why the others did not."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from evenkeel.errors import BadOption
from evenkeel.kernels import Call, Choice, record_choices


@dataclass(frozen=True)
class Ran:
    """One decision of the dispatch table, and the layer in which it fell ("" outside of layers)."""

    place: str
    operation: str
    kernel: str
    call: Call
    refusals: dict[str, str]

    def __str__(self) -> str:
        """Two lines or more: what ran on what, then the others with their reasons."""
        where = f"{self.place}: " if self.place else ""
        size = (
            f"{tuple(self.call.view)}" if self.call.view else f"{self.call.count} values a channel"
        )
        dtype = str(self.call.dtype).removeprefix("torch.")
        head = (
            f"{where}{self.operation} ran on {self.kernel}  ({dtype}, {self.call.device}, {size})"
        )
        return "\n".join([head, *(f"    not {name}: {why}" for name, why in self.refusals.items())])


@dataclass(frozen=True)
class Explanation:
    """Every decision of one call, in order."""

    decisions: tuple[Ran, ...]

    @property
    def ran(self) -> tuple[str, ...]:
        """The kernels that ran, each once, in the order of their first call."""
        return tuple(dict.fromkeys(decision.kernel for decision in self.decisions))

    def __str__(self) -> str:
        """All decisions as text; equal ones of different layers are told once, with a count."""
        if not self.decisions:
            return "no operation of evenkeel ran"
        return "\n".join(map(str, self.decisions))


def explain(call: Callable[..., Any], *args: Any, **options: Any) -> Explanation:
    """Run ``call(*args, **options)`` and tell which kernel ran each operation, and why not another.

    A module is copied first: its running statistics, modes and hooks stay as they are; random numbers
    drawn inside are put back. Any other callable runs as it is.

    Raises:  BadOption for what cannot be called; whatever the call itself raises

    >>> from evenkeel.nn import BatchNorm1d
    >>> with torch.no_grad():
    ...     print(explain(BatchNorm1d(3).eval(), torch.zeros(8, 3)).decisions[0].operation)
    normalize
    """
    if not callable(call):
        raise BadOption(
            "explain runs a module or a function", got=type(call), do="explain(layer, x)"
        )
    place: list[str] = []
    decisions: list[Ran] = []

    def tell(choice: Choice) -> None:
        decisions.append(Ran(place[-1] if place else "", *choice))

    if isinstance(call, nn.Module):
        call = copy.deepcopy(call)
        _follow(call, place)
    with record_choices(tell), torch.random.fork_rng(devices=[]):
        call(*args, **options)
    return Explanation(tuple(decisions))


def _follow(model: nn.Module, place: list[str]) -> None:
    """Keep the path of the layer that runs at the end of ``place``."""
    for name, module in model.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: place.append(name))
        module.register_forward_hook(lambda *_: place.pop() and None, always_call=True)
