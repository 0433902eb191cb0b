"""Statistics gathered at batch-norm layers while a model runs.

The layers keep their own buffers until the end, when everything is known: what they normalize by in the
meantime lies here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from evenkeel.errors import BadData, EvenkeelError, located
from evenkeel.functional.statistics import Moments, all_finite, merge_nonempty, var_unbiased
from evenkeel.nn import BatchNorm, Population
from evenkeel.surgery.batchwise import Planned, Rows, merged, moments_of, normalized
from evenkeel.surgery.linear import spec_in_inference
from evenkeel.surgery.ranks import Ranks
from evenkeel.surgery.sites import Site

METHODS = ("population", "average")
_PAIR = ("running_mean", "running_var")
# Batches whose statistics wait to be merged at once: a merge is thirty small operations.
_WAITING = 64


class Reached(BaseException):
    """Nothing further on in this forward is wanted. No Exception: a forward may catch those."""


@dataclass(slots=True)
class Gathered:
    """What one layer has seen: merged parts, and those that wait, with their batch's number."""

    parts: list[Moments] = field(default_factory=list)
    waiting: list[tuple[int, Rows]] = field(default_factory=list)


class Gathering:
    """Hooks and buffers at the layers, taken away when the block ends, however it ends."""

    def __init__(self, chosen: tuple[Site, ...], method: str, ranks: Ranks) -> None:
        self._chosen, self._method, self._ranks = chosen, method, ranks
        self._found: dict[str, Gathered] = {}
        self._whole: dict[str, list[Moments]] = {}  # merged over the ranks too
        self._calls: dict[str, int] = {}
        self._seen: dict[str, tuple[int, int]] = {}  # the last batch, the calls in it
        self._batch = self._left = 0
        self._wanted: Site | None = None
        self._watching = False
        self._put_back: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for put_back in reversed(self._put_back):
            put_back()
        self._put_back.clear()

    def jointly(self) -> None:
        """Let every layer normalize by its batch, and gather that batch's statistics."""
        for site in self._chosen:
            layer = site.module
            if type(layer).forward.__module__.startswith(("torch.nn.", "evenkeel.nn.")):
                self._replace_forward(site)
            else:  # somebody's own forward: it runs in inference, on the batch's statistics
                self._borrow(layer)
                self._hook(site, self._see_batch)

    def layerwise(self) -> None:
        """Let every layer run in inference; look which do, and in which order."""
        for site in self._chosen:
            self._borrow(site.module)
            self._hook(site, self._see_wanted)
        self._watching = True

    def directly(self) -> None:
        """Let every layer run on copies of its statistics; its inputs come by ``add``."""
        for site in self._chosen:
            self._borrow(site.module)

    def begin(self, batch: int) -> None:
        """A forward on the ``batch``-th batch begins."""
        self._batch = batch
        self._left = 0 if self._wanted is None else self._calls.get(self._wanted.path, 0)

    def order(self) -> list[Site]:
        """The layers that ran, in the order of their first calls."""
        by_path = {site.path: site for site in self._chosen}
        self._watching = False
        return [by_path[path] for path in self._ranks.union(self._calls)]

    def only(self, site: Site) -> None:
        """Gather at ``site`` alone."""
        self._wanted = site

    def finish(self) -> None:
        """Merge what waits; a batch that was not finite is found here at the latest."""
        for site in self._chosen:
            if site.path in self._found:
                self._take_in(site, self._found[site.path])

    def settle(self, site: Site) -> None:
        """Let ``site`` normalize by what was gathered there from now on."""
        for name, value in zip(_PAIR, self._statistics(site), strict=True):
            cast(Tensor, site.module._buffers[name]).copy_(value)

    def add(self, site: Site, x: Tensor, spread: Tensor | None = None) -> None:
        """Gather an input of ``site``, in float64."""
        with located(site.path or "the model"):
            batch = moments_of(spec_in_inference(site.module), x.double(), spread)
            self.keep(site, Rows.of(batch))

    def commit(self) -> None:
        """Write what was gathered into the layers' own buffers: all or, after an error, none."""
        self.__exit__()
        new = [pair for site in self._chosen if self._merged(site) for pair in self._new(site)]
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

    def _replace_forward(self, site: Site) -> None:
        layer = vars(site.module)
        layer["forward"] = _by_batch(self, site)
        self._put_back.append(lambda: layer.pop("forward"))

    def _hook(self, site: Site, see: Callable[[Site, Tensor, Tensor | None], None]) -> None:
        def hook(layer: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
            mask = options.get("mask")
            x = args[0] if args else options["input"]
            see(site, x, options.get("weights") if mask is None else mask)

        handle = site.module.register_forward_pre_hook(hook, with_kwargs=True)
        self._put_back.append(handle.remove)

    def _borrow(self, layer: nn.Module) -> None:
        """Let ``layer`` run on copies of its statistics."""
        own = layer._buffers
        copies = {name: cast(Tensor, own[name]).clone() for name in _PAIR}
        vars(layer)["_buffers"] = {**own, **copies}
        self._put_back.append(lambda: vars(layer).__setitem__("_buffers", own))

    def _see_batch(self, site: Site, x: Tensor, spread: Tensor | None) -> None:
        batch = moments_of(spec_in_inference(site.module), x, spread)
        self.keep(site, Rows.of(batch))
        for name, value in zip(_PAIR, (batch.mean, batch.var), strict=True):
            cast(Tensor, site.module._buffers[name]).copy_(value)

    def _see_wanted(self, site: Site, x: Tensor, spread: Tensor | None) -> None:
        if self._watching:
            self._calls[site.path] = max(self._calls.get(site.path, 0), self._count(site))
        elif site is self._wanted:
            self.add(site, x, spread)
            self._left -= 1
            if not self._left:
                raise Reached

    def _count(self, site: Site) -> int:
        """How often ``site`` has run in this forward."""
        batch, count = self._seen.get(site.path, (0, 0))
        self._seen[site.path] = self._batch, count + 1 if batch == self._batch else 1
        return self._seen[site.path][1]

    def keep(self, site: Site, batch: Rows) -> None:
        """Take in what a layer's input has given."""
        found = self._found.get(site.path) or self._found.setdefault(site.path, Gathered())
        found.waiting.append((self._batch, batch))
        if len(found.waiting) >= _WAITING:
            self._take_in(site, found)

    def _take_in(self, site: Site, found: Gathered) -> None:
        """Merge what waits."""
        if not found.waiting:
            return
        whole = merged([batch for _, batch in found.waiting])
        if not bool(all_finite(whole)):
            wrong = next(n for n, one in found.waiting if not bool(one.both.isfinite().all()))
            raise BadData(
                "a batch brings NaN or infinity to this layer; no statistics were changed",
                got=f"batch {wrong}",
                do="leave that batch out, or look where the first such value comes from",
                at=site.path or "the model",
            )
        if self._method == "population":
            found.parts = [merge_nonempty(*found.parts, whole)]
        else:
            found.parts += [batch.wide() for _, batch in found.waiting]
        found.waiting.clear()

    def _merged(self, site: Site) -> list[Moments]:
        """All that ``site`` has seen, on every rank."""
        if site.path not in self._whole:
            found = self._found.get(site.path, Gathered())
            parts = self._ranks.together(found.parts, _device(site))
            together = self._method == "population" and len(parts) > 1
            self._whole[site.path] = [merge_nonempty(*parts)] if together else parts
        return self._whole[site.path]

    def _statistics(self, site: Site) -> tuple[Tensor, Tensor]:
        """Mean and variance in the layer's convention, in float64."""
        parts, layer = self._merged(site), site.module
        unbiased = layer.spec.unbiased if isinstance(layer, BatchNorm) else True
        each = [var_unbiased(part) if unbiased else part.var for part in parts]
        return torch.stack([part.mean for part in parts]).mean(0), torch.stack(each).mean(0)

    def _new(self, site: Site) -> list[tuple[Tensor, Tensor]]:
        """The layer's buffers with what they shall hold."""
        layer = site.module
        values = dict(zip(_PAIR, self._statistics(site), strict=True))
        if isinstance(layer, BatchNorm) and isinstance(layer.spec.running, Population):
            whole = merge_nonempty(*self._merged(site))
            count = torch.as_tensor(whole.count).to(whole.mean).expand_as(whole.mean)
            values |= {"population_count": count, "population_mean": whole.mean}
            values["population_m2"] = whole.var * count
        return [(cast(Tensor, layer._buffers[name]), value) for name, value in values.items()]


def _by_batch(gathering: Gathering, site: Site) -> Callable[..., Tensor]:
    """A forward for the layer at ``site``: by the batch's statistics, which are kept."""
    layer, spec = site.module, spec_in_inference(site.module)
    weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
    planned = Planned(spec, weight, bias)

    def forward(
        input: Tensor,
        *,
        residual: Tensor | None = None,
        mask: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        spread = weights if mask is None else mask
        try:
            done = planned(input, residual) if spread is None else None
            if done is None:
                y, batch = normalized(spec, input, weight, bias, residual, spread)
                done = y, Rows.of(batch)
            gathering.keep(site, done[1])
        except EvenkeelError:
            with located(site.path or "the model"):
                raise
        return done[0]

    return forward


def _device(site: Site) -> torch.device:
    return cast(Tensor, site.module._buffers["running_mean"]).device
