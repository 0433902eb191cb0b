"""The error that each fold causes at its own place: both ways fed with the same input."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from evenkeel.surgery.change import Journal
from evenkeel.surgery.lifting import lift
from evenkeel.surgery.probe import relative_error, run


class Link(NamedTuple):
    """A folded layer's neighbour: its path, and the side of the layer on which it stands."""

    linear: str
    side: str


def site_errors(
    original: nn.Module, folded: nn.Module, links: Mapping[str, Link], probe: Any
) -> dict[str, float]:
    """For each folded layer the largest difference over the largest value, on the probe.

    A copy of the original runs, in inference; the modules of each chain in ``folded`` get what those
    of the original get. Layers in one chain share its error.
    """
    model = copy.deepcopy(original).eval()
    lift(model, Journal())  # as the folding did, so that paths are the same
    worst: dict[str, float] = {}
    for linear in dict.fromkeys(link.linear for link in links.values()):
        chain = _chain(linear, links)
        paths = [path for path in chain if path != linear]
        mine = copy.deepcopy([folded.get_submodule(path) for path in chain])
        _watch([model.get_submodule(path) for path in chain], mine, paths, worst)
    with torch.no_grad():
        run(model, copy.deepcopy(probe))
    return worst


def _chain(linear: str, links: Mapping[str, Link]) -> list[str]:
    """The paths of an operation and its layers in the order in which they run.

    Layers are folded from the operation outwards.
    """
    sides: dict[str, list[str]] = {"before": [], "after": []}
    for path, link in links.items():
        if link.linear == linear:
            sides[link.side].append(path)
    return [*reversed(sides["after"]), linear, *sides["before"]]


def _watch(
    theirs: list[nn.Module], mine: list[nn.Module], paths: list[str], worst: dict[str, float]
) -> None:
    """Run ``mine`` in the course of ``theirs``, module by module, and compare the last outputs."""
    given: list[Tensor] = []

    def begin(module: nn.Module, args: tuple[Any, ...]) -> None:
        given[:] = [args[0].clone()]

    def follow(turn: int) -> Callable[..., None]:
        def after(module: nn.Module, args: Any, options: Any, y: Tensor) -> None:
            given[0] = mine[turn](given[0].reshape(args[0].shape), **options)
            if turn == len(mine) - 1:
                error = relative_error(given.pop(), y)
                worst.update({path: max(worst.get(path, 0.0), error) for path in paths})

        return after

    theirs[0].register_forward_pre_hook(begin)
    for turn, module in enumerate(theirs):
        module.register_forward_hook(follow(turn), with_kwargs=True)
