"""Hooks at batch-norm layers: what reaches them and what they give, call by call."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from evenkeel.doctor.trace import Call
from evenkeel.functional import moments, weighted_moments
from evenkeel.nn import BatchNorm, FrozenBatchNorm
from evenkeel.nn.spec import Spec
from evenkeel.surgery.sites import Site

_SAMPLE = 512  # values of a layer's output whose percentiles are taken
_LEVELS = (0.15, 0.5, 0.85)
TRAINING, EVALUATION, BY_BATCH = "training", "evaluation", "batch statistics"


@dataclass(slots=True)
class Seen:
    """What was seen of one layer."""

    calls: list[Call] = field(default_factory=list)
    evaluations: int = 0
    by_batch: dict[str, bool] = field(default_factory=dict)
    moves: list[int] = field(default_factory=list)
    highest: Tensor | None = None
    var_without_dropout: tuple[float, ...] = ()
    input_dtype: str = "float32"
    rank: int = 4


class Watch:
    """The layers of a model under observation, while ``watching`` lasts."""

    def __init__(self, layers: tuple[Site, ...]) -> None:
        self.layers = layers
        self.seen = {site.path: Seen() for site in layers}
        self.mode, self.batch = TRAINING, 0
        self.entered: list[tuple[str, int]] = []  # layers that began and did not end

    @contextmanager
    def watching(self) -> Iterator["Watch"]:
        """Hooks on every layer."""
        handles = []
        for site in self.layers:
            module = site.module
            handles.append(module.register_forward_pre_hook(self._before(site), with_kwargs=True))
            handles.append(module.register_forward_hook(self._after(site)))
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def _before(self, site: Site) -> Any:
        seen = self.seen[site.path]

        def hook(layer: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
            x = args[0] if args else options["input"]
            spread = options.get("mask") if options.get("weights") is None else options["weights"]
            with _unseen():
                self.entered.append((site.path, _count(layer, x)))
                self._look(seen, layer, x.detach(), spread)

        return hook

    def _look(self, seen: Seen, layer: nn.Module, x: Tensor, spread: Tensor | None) -> None:
        seen.by_batch[self.mode] = _by_batch(layer)
        if self.mode == EVALUATION:
            seen.evaluations += 1
        elif self.mode == TRAINING:
            seen.rank, seen.input_dtype = x.ndim, str(x.dtype).removeprefix("torch.")
            seen.calls.append(_called(layer, x, spread, self.batch))
        else:
            seen.var_without_dropout = _adopt(layer, x, spread)

    def _after(self, site: Site) -> Any:
        seen = self.seen[site.path]

        def hook(layer: nn.Module, args: Any, y: Tensor) -> None:
            self.entered.pop()
            if self.mode != TRAINING:
                return
            with _unseen():
                values = y.detach()
                if seen.highest is None or not bool((seen.highest > 0).all()):
                    kept = spec_of(layer).axes(y.ndim)
                    high = values.amax([a for a in range(y.ndim) if a not in kept]).flatten()
                    seen.highest = (
                        high if seen.highest is None else torch.maximum(seen.highest, high)
                    )
                seen.calls[-1] = replace(seen.calls[-1], percentiles=_percentiles(values))

        return hook


@contextmanager
def _unseen() -> Iterator[None]:
    """What the doctor computes is no part of the model's run: no gradient, no recording."""
    with torch.no_grad(), torch._C.DisableTorchFunction():
        yield


def spec_of(layer: nn.Module) -> Spec:
    """The hyperparameters of any batch-norm layer, its running rule left out."""
    if isinstance(layer, BatchNorm | FrozenBatchNorm):
        return layer.spec
    return Spec(type(layer).__name__, (int(layer.num_features),), float(layer.eps))  # type: ignore[arg-type]


def numbers(x: Tensor | None) -> tuple[float, ...] | None:
    """A vector as plain numbers."""
    return None if x is None else tuple(x.detach().double().flatten().tolist())


def _adopt(layer: nn.Module, x: Tensor, spread: Tensor | None) -> tuple[float, ...]:
    """Let a layer normalize by what it is about to get; the variance of that."""
    found = _called(layer, x, spread, 0)
    mean, var = layer._buffers.get("running_mean"), layer._buffers.get("running_var")
    if mean is not None and var is not None and not isinstance(layer, FrozenBatchNorm):
        mean.copy_(torch.tensor(found.mean).view_as(mean))
        var.copy_(torch.tensor(found.var).view_as(var))
    return found.var


def _by_batch(layer: nn.Module) -> bool:
    """Whether a layer normalizes by the batch now."""
    if isinstance(layer, FrozenBatchNorm):
        return False
    return layer.training or layer._buffers.get("running_mean") is None


def _count(layer: nn.Module, x: Tensor) -> int:
    kept = spec_of(layer).axes(x.ndim)
    return prod(n for a, n in enumerate(x.shape) if a not in kept)


def _called(layer: nn.Module, x: Tensor, spread: Tensor | None, batch: int) -> Call:
    kept = spec_of(layer).axes(x.ndim)
    over = tuple(axis for axis in range(x.ndim) if axis not in kept)
    if spread is None:
        mean, var, count = moments(x, over)
    else:
        if spread.ndim < x.ndim:
            for axis in kept:
                spread = spread.unsqueeze(axis)
        mean, var, counts = weighted_moments(x, over, spread)
        count = int(counts.mean()) if isinstance(counts, Tensor) else int(counts)
    padding = 0.0 if spread is not None else _padding(x, kept)
    return Call(batch, int(count), numbers(mean) or (), numbers(var) or (), (), padding)


def _percentiles(values: Tensor) -> tuple[float, ...]:
    sample = values.flatten()[:: max(1, values.numel() // _SAMPLE)].float()
    places = [int(level * (len(sample) - 1)) for level in _LEVELS]
    return tuple(np.sort(sample.cpu().numpy())[places].tolist())


def _padding(x: Tensor, kept: tuple[int, ...]) -> float:
    """The share of positions at the ends of sequences that repeat the last one's values exactly.

    Only where the ends differ from sequence to sequence: a constant border is no padding.
    """
    if x.ndim != 3 or len(kept) != 1 or kept[0] == 0:
        return 0.0
    by_position = x if kept[0] == 2 else x.transpose(1, 2)
    same = (by_position == by_position[:, -1:]).all(2)  # [N, L]
    run = same.flip(1).long().cumprod(1).sum(1)  # how many at the end
    run = torch.where(run > 1, run, 0)
    if bool((run == run[0]).all()):
        return 0.0
    return float(run.sum()) / same.numel()
