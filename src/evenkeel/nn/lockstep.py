"""lockstep: micro-batches side by side, so that batch norm takes all of them as one batch."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import Any

import torch
from torch import nn

from evenkeel.errors import BadOption
from evenkeel.nn.sync import SyncBatchNorm
from evenkeel.nn.turns import Turns


def lockstep(
    model: nn.Module, batches: Iterable[Any], step: Callable[[Any], Any] | None = None
) -> list[Any]:
    """What ``step`` gives for each micro-batch, with batch-norm statistics of all of them together.

    Math:    outputs, gradients of any order and running statistics are those of the whole batch: every
             SyncBatchNorm waits for all micro-batches, merges their moments by Chan's rule (with those
             of other processes, where there are any), and normalizes each by the result
    Shapes:  micro-batches may differ in all sizes but the channels': images of several sizes are one
             batch. ``step`` is called with each of them, by default ``model``
    Memory:  what the backward pass needs of all micro-batches, as of the whole batch. It is less with
             torch.utils.checkpoint(use_reentrant=False) around parts of the model, or with
             torch.autograd.graph.save_on_cpu inside of ``step``
    Threads: each micro-batch has one, of which one runs at a time, in order: random numbers are drawn
             in the same order every time. Grad mode, autocast and context variables are the caller's
    Raises:  BadOption for layers in training that are not SyncBatchNorm, and for reentrant checkpoints;
             RanksDiffer where the micro-batches do not come to the same layers; what ``step`` raises

    Sum what comes back into one loss, for one backward pass.

    >>> import evenkeel as ek
    >>> model = ek.convert(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), sync=True)
    >>> x = torch.randn(12, 4)
    >>> parts = lockstep(model, x.split(5))
    >>> torch.allclose(torch.cat(parts), model(x), atol=1e-5)
    True
    """
    given = list(batches)
    _check(model, given)
    turns, modes = Turns(len(given)), _modes()
    results: list[Any] = [None] * len(given)

    def work(index: int) -> None:
        with ExitStack() as inside:
            for mode, arguments in modes:
                inside.enter_context(mode(*arguments))
            results[index] = (step or model)(given[index])

    threads = [
        Thread(target=copy_context().run, args=(turns.take_part, k, partial(work, k)))
        for k in range(len(given))
    ]
    with turns.begun():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if turns.failed is not None:
        raise turns.failed
    return results


def _modes() -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
    """What torch keeps for each thread: the caller's, for another."""
    kinds = [kind for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)]
    casts = [(torch.autocast, (kind, torch.get_autocast_dtype(kind))) for kind in kinds]
    return [(torch.set_grad_enabled, (torch.is_grad_enabled(),)), *casts]


def _check(model: nn.Module, batches: list[Any]) -> None:
    if not batches:
        raise BadOption("lockstep takes micro-batches", got="none", do="give one or more")
    for name, layer in model.named_modules():
        taking = isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training
        if taking and not isinstance(layer, SyncBatchNorm):
            raise BadOption(
                "this kind of layer does not know of the other micro-batches",
                got=f"{name or 'the model'}, a {type(layer).__name__}",
                do="ek.convert(model, sync=True)",
            )
        vars(layer).pop("_met", None)
