"""accumulated: the running statistics move once for all micro-batches of an optimizer step."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evenkeel.errors import BadOption
from evenkeel.functional.statistics import Moments
from evenkeel.nn.batch_norm import BatchNorm
from evenkeel.nn.ghost import GhostBatchNorm
from evenkeel.nn.renorm import BatchRenorm
from evenkeel.nn.running import Population, Running, RunningState
from evenkeel.nn.spec import Spec
from evenkeel.nn.steps import move


@contextmanager
def accumulated(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Iterator[None]:
    """Inside, the micro-batches of an optimizer step move the running statistics once, together.

    Math:    with N = Σ nᵢ:  mean = Σ nᵢ·mᵢ / N,  var = Σ nᵢ·(vᵢ + (mᵢ − mean)²) / N  of all that a
             layer was given; then one update by its rule, as by one batch of N values, and
             num_batches_tracked + 1. Each micro-batch is normalized by its own statistics
    Dtypes:  merged in f64
    Policy:  a micro-batch that is not finite is left out, with the warning of ``BatchNorm``
    Raises:  BadOption for layers that it cannot hold back: torch's own, BatchRenorm, GhostBatchNorm.
             After an error inside, what was gathered is dropped
    Source:  Chan, Golub & LeVeque 1983; torchgpipe's DeferredBatchNorm (Kim et al. 2020,
             arXiv:2004.09910), which merges Σx and Σx² and counts its micro-batches beforehand

    The end of the block is the step. With ``optimizer`` every ``optimizer.step()`` is one too: put the
    block around the whole training where a framework runs the loop. A step that a GradScaler skips
    joins the next one.

    >>> layer = BatchNorm(2)
    >>> with accumulated(layer):
    ...     for _ in range(4):
    ...         _ = layer(torch.randn(8, 2))
    >>> layer.num_batches_tracked
    tensor(1)
    """
    layers = [part for part in model.modules() if _moves(part)]
    with ExitStack() as held:
        for layer in layers:
            held.enter_context(_gathering(layer))
        if optimizer is not None:
            hook = optimizer.register_step_post_hook(lambda *_: _step(layers))
            held.callback(hook.remove)
        yield
        _step(layers)


@dataclass(frozen=True, slots=True)
class _Gathering(Running):
    """A step's population beside running statistics that stay; ``rule`` is what moves them after it."""

    extra: ClassVar[tuple[str, ...]] = ("_step_count", "_step_mean", "_step_m2")
    momentum: float | None
    rule: Running

    @property
    def lasting(self) -> Running:
        return self.rule

    def with_momentum(self, momentum: float | None) -> Running:
        rule = self.rule.with_momentum(momentum)
        return _Gathering(rule.momentum, rule)

    def updated(self, state: RunningState, batch: Moments, unbiased: bool) -> RunningState:
        return state._replace(extra=Population().updated(state, batch, unbiased).extra)


@contextmanager
def _gathering(layer: Any) -> Iterator[None]:
    """The layer with that rule; its own comes back, with what else of it has changed inside."""
    before, kept = layer.spec, vars(layer)
    inside = replace(before, running=_Gathering(before.running.momentum, before.running))
    # No buffers: they are nothing to save, and DistributedDataParallel would broadcast them.
    for name in _Gathering.extra:
        kept[name] = torch.zeros_like(layer.running_mean, dtype=torch.float64)
    layer.spec = inside
    try:
        yield
    finally:
        changed = layer.spec is not inside
        layer.spec = layer.spec.lasting if changed else before
        for name in _Gathering.extra:
            kept.pop(name, None)


def _step(layers: list[Any]) -> None:
    """Move every layer by what it has gathered, and begin anew."""
    for layer in layers:
        state = layer._state()
        count, mean, m2 = state.extra
        if not bool(count.any()):
            continue
        batch = Moments(mean.clone(), m2 / count, count.clone())
        for tensor in state.extra:
            tensor.zero_()
        spec = layer.spec.lasting
        move(spec, state._replace(extra=_own_extra(layer, spec)), batch)


def _own_extra(layer: Any, spec: Spec) -> tuple[Tensor, ...]:
    return tuple(getattr(layer, name) for name in spec.running.extra)


def _moves(layer: nn.Module) -> bool:
    """Whether a layer has running statistics to be held back; BadOption where they cannot be."""
    if not isinstance(layer, nn.modules.batchnorm._BatchNorm) or layer.running_mean is None:
        return False
    if not isinstance(layer, BatchNorm) or isinstance(layer, BatchRenorm | GhostBatchNorm):
        raise BadOption(
            "the running statistics of this kind of layer cannot wait for the end of a step",
            got=f"{type(layer).__module__.partition('.')[0]}'s {type(layer).__name__}",
            do="make it a BatchNorm or SyncBatchNorm: ek.convert(model)",
        )
    if isinstance(layer.spec.running, _Gathering):
        raise BadOption(
            "these running statistics already wait for the end of a step",
            got="ek.accumulated inside of ek.accumulated",
            do="open one block for each step",
        )
    return True
