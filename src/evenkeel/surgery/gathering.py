"""Statistics gathered at the inputs of batch-norm layers, while a model runs.

The layers run in inference mode on buffers of ours, so that the model's own are touched once, at the
end, when everything is known.
"""

from collections.abc import Callable
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from evenkeel.errors import BadData, located
from evenkeel.functional import moments, weighted_moments
from evenkeel.functional.statistics import Moments, all_finite, merge_nonempty, var_unbiased
from evenkeel.nn import BatchNorm, Population
from evenkeel.surgery.linear import spec_in_inference
from evenkeel.surgery.sites import Site

METHODS = ("population", "average")
_PAIR = ("running_mean", "running_var")


class Reached(BaseException):
    """Nothing further on in this forward is wanted. No Exception: a forward may catch those."""


class Gathering:
    """Hooks and buffers at the layers, taken away when the block ends, however it ends."""

    def __init__(self, chosen: tuple[Site, ...], method: str) -> None:
        self._chosen, self._method = chosen, method
        self._found: dict[str, list[Moments]] = {}
        self._calls: dict[str, int] = {}
        self._seen: dict[str, tuple[int, int]] = {}  # the last batch, the calls in it
        self._batch = self._left = 0
        self._wanted: Site | None = None
        self._joint, self._watching = True, False
        self._put_back: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        for site in self._chosen:
            self._borrow(site.module)
            hook = _hooked(self, site)
            handle = site.module.register_forward_pre_hook(hook, with_kwargs=True)
            self._put_back.append(handle.remove)
        return self

    def __exit__(self, *_: object) -> None:
        for put_back in reversed(self._put_back):
            put_back()

    def begin(self, batch: int) -> None:
        """A forward on the ``batch``-th batch begins."""
        self._batch = batch
        self._left = 0 if self._wanted is None else self._calls[self._wanted.path]

    def watch(self) -> None:
        """Only look which layers run, and in which order."""
        self._joint, self._watching = False, True

    def order(self) -> list[Site]:
        """The layers that ran, in the order of their first calls."""
        by_path = {site.path: site for site in self._chosen}
        self._watching = False
        return [by_path[path] for path in self._calls]

    def only(self, site: Site) -> None:
        """Gather at ``site`` alone."""
        self._wanted = site

    def settle(self, site: Site) -> None:
        """Let ``site`` normalize by what was gathered there from now on."""
        for name, value in zip(_PAIR, self._statistics(site), strict=True):
            cast(Tensor, site.module._buffers[name]).copy_(value)

    def commit(self) -> None:
        """Write what was gathered into the layers' own buffers: all or, after an error, none."""
        new = [
            pair for site in self._chosen if site.path in self._found for pair in self._new(site)
        ]
        if not all(bool(value.to(buffer.dtype).isfinite().all()) for buffer, value in new):
            raise BadData(
                "the statistics do not fit the layers' dtype; none were changed",
                got=f"buffers of {new[0][0].dtype}",
                do="keep running statistics in float32",
            )
        old = [buffer.clone() for buffer, _ in new]
        try:
            for buffer, value in new:
                buffer.copy_(value)
        except BaseException:
            for (buffer, _), value in zip(new, old, strict=True):
                buffer.copy_(value)
            raise

    def see(self, site: Site, x: Tensor, spread: Tensor | None) -> None:
        """A layer is about to run on ``x``."""
        if self._watching:
            self._calls[site.path] = max(self._calls.get(site.path, 0), self._count(site))
        elif self._joint:
            batch = self._gather(site, x, spread)
            for name, value in zip(_PAIR, (batch.mean, batch.var), strict=True):
                cast(Tensor, site.module._buffers[name]).copy_(value)
        elif site is self._wanted:
            self._gather(site, x.double(), spread)
            self._left -= 1
            if not self._left:
                raise Reached

    def _count(self, site: Site) -> int:
        """How often ``site`` has run in this forward."""
        batch, count = self._seen.get(site.path, (0, 0))
        self._seen[site.path] = self._batch, count + 1 if batch == self._batch else 1
        return self._seen[site.path][1]

    def _gather(self, site: Site, x: Tensor, spread: Tensor | None) -> Moments:
        with located(site.path or "the model"):
            batch = _moments(site.module, x, spread)
            if not bool(all_finite(batch)):
                raise BadData(
                    "a batch brings NaN or infinity to this layer; no statistics were changed",
                    got=f"batch {self._batch}",
                    do="leave that batch out, or look where the first such value comes from",
                )
        wide = Moments(batch.mean.double(), batch.var.double(), batch.count)
        parts = self._found.setdefault(site.path, [])
        parts.append(wide)
        if self._method == "population":
            parts[:] = [merge_nonempty(*parts)]
        return batch

    def _statistics(self, site: Site) -> tuple[Tensor, Tensor]:
        """Mean and variance in the layer's convention, in float64."""
        parts = self._found[site.path]
        layer = site.module
        unbiased = layer.spec.unbiased if isinstance(layer, BatchNorm) else True
        each = [var_unbiased(part) if unbiased else part.var for part in parts]
        return torch.stack([part.mean for part in parts]).mean(0), torch.stack(each).mean(0)

    def _new(self, site: Site) -> list[tuple[Tensor, Tensor]]:
        """The layer's buffers with what they shall hold."""
        layer = site.module
        values = dict(zip(_PAIR, self._statistics(site), strict=True))
        if isinstance(layer, BatchNorm) and isinstance(layer.spec.running, Population):
            whole = merge_nonempty(*self._found[site.path])
            count = torch.as_tensor(whole.count).to(whole.mean).expand_as(whole.mean)
            values |= {"population_count": count, "population_mean": whole.mean}
            values["population_m2"] = whole.var * count
        return [(cast(Tensor, layer._buffers[name]), value) for name, value in values.items()]

    def _borrow(self, layer: nn.Module) -> None:
        """Let ``layer`` run on copies of its statistics."""
        own = layer._buffers
        copies = {name: cast(Tensor, own[name]).clone() for name in _PAIR}
        vars(layer)["_buffers"] = {**own, **copies}
        self._put_back.append(lambda: vars(layer).__setitem__("_buffers", own))


def _hooked(gathering: Gathering, site: Site) -> Callable[[nn.Module, Any, Any], None]:
    """The hook that tells ``gathering`` of a call of the layer at ``site``."""

    def hook(layer: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        x = args[0] if args else options["input"]
        mask = options.get("mask")
        gathering.see(site, x, options.get("weights") if mask is None else mask)

    return hook


def _moments(layer: nn.Module, x: Tensor, spread: Tensor | None) -> Moments:
    """The statistics of one input over all axes but the channels'."""
    spec = spec_in_inference(layer)
    spec.check_input(x)
    kept = spec.axes(x.ndim)
    over = tuple(axis for axis in range(x.ndim) if axis not in kept)
    if spread is None:
        found = moments(x, over)
    else:
        if spread.ndim == x.ndim - len(kept):
            for axis in kept:
                spread = spread.unsqueeze(axis)
        found = weighted_moments(x, over, spread)
    mean, var, count = found
    counts = count.reshape(spec.channels) if isinstance(count, Tensor) else count
    return Moments(mean.reshape(spec.channels), var.reshape(spec.channels), counts)
