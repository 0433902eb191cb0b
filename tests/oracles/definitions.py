"""Batch normalization as its papers define it, in float64 and with torch's elementwise operators only.

Nothing here comes from evenkeel: channels are moved last, then every line is a line of the paper.
"""

from typing import NamedTuple

import torch
from torch import Tensor

Axes = int | tuple[int, ...]


def channels_last(x: Tensor, channel_axis: Axes) -> Tensor:
    """x as [values, channels] in float64, the channel axes in ascending order."""
    chosen = (channel_axis,) if isinstance(channel_axis, int) else channel_axis
    axes = sorted(a % x.ndim for a in chosen)
    moved = x.double().movedim(axes, list(range(x.ndim - len(axes), x.ndim)))
    sizes = moved.shape[x.ndim - len(axes) :]
    return moved.reshape(-1, sizes.numel())


def like(rows: Tensor, x: Tensor, channel_axis: Axes) -> Tensor:
    """Undo ``channels_last`` for a tensor of the shape of x."""
    chosen = (channel_axis,) if isinstance(channel_axis, int) else channel_axis
    axes = sorted(a % x.ndim for a in chosen)
    last = list(range(x.ndim - len(axes), x.ndim))
    return rows.reshape(x.movedim(axes, last).shape).movedim(last, axes)


def moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Ioffe & Szegedy 2015, Algorithm 1, lines 1 and 2, of [values, channels]."""
    mean = rows.sum(0) / rows.shape[0]
    return mean, ((rows - mean) ** 2).sum(0) / rows.shape[0]


def batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    channel_axis: Axes = 1,
    given: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Algorithm 1, lines 3 and 4, with the batch's statistics or the ``given`` ones, in float64."""
    rows = channels_last(x, channel_axis)
    mean, var = moments(rows) if given is None else (given[0].flatten(), given[1].flatten())
    y = (rows - mean.double()) / torch.sqrt(var.double() + eps)
    y = y if weight is None else y * weight.double().flatten()
    y = y if bias is None else y + bias.double().flatten()
    return like(y, x, channel_axis)


class Step(NamedTuple):
    """Everything that a training step of a batch-norm layer produces."""

    y: Tensor
    running_mean: Tensor
    running_var: Tensor
    dx: Tensor
    dweight: Tensor
    dbias: Tensor


class Given(NamedTuple):
    """What a training step of a batch-norm layer starts from; channels on axis 1."""

    x: Tensor
    weight: Tensor
    bias: Tensor
    dy: Tensor
    running_mean: Tensor
    running_var: Tensor
    momentum: float
    eps: float


def step(given: Given) -> Step:
    """The training step in float64; gradients by torch's autograd through the definition."""
    leaves = [v.detach().double().requires_grad_() for v in given[:3]]
    y = batch_norm(leaves[0], leaves[1], leaves[2], given.eps)
    dx, dweight, dbias = torch.autograd.grad(y, leaves, given.dy.double())
    mean, var = moments(channels_last(given.x, 1))
    count, m = given.x.numel() // given.x.shape[1], given.momentum
    running_mean = (1 - m) * given.running_mean.double() + m * mean
    running_var = (1 - m) * given.running_var.double() + m * var * count / (count - 1)
    return Step(y.detach(), running_mean, running_var, dx, dweight, dbias)
