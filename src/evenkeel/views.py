"""What a tensor is to a kernel: its channel axes, its memory as [outer, channels, inner].

Every layout of batch normalization is one of these: contiguous NCHW is [N, C, H·W], contiguous NHWC
is [N·H·W, C, 1], a dense layer is [N, C, 1], several channel axes are one after a permutation.
"""

from collections.abc import Iterable
from math import inf, prod
from typing import NamedTuple

import torch
from torch import Tensor

from evenkeel.errors import BadAxis, BadDtype, BadOption, BadShape, EmptyBatch

Axes = int | tuple[int, ...]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class View(NamedTuple):
    """Memory in row-major order: ``outer`` blocks of ``channels`` runs of ``inner`` values."""

    outer: int
    channels: int
    inner: int


NO_VIEW = View(0, 0, 0)  # which the native library refuses


def view_of(x: Tensor, channel_axis: Axes) -> View | None:
    """How ``x`` lies in memory around its channels; None when it is not dense, or they are apart.

    >>> view_of(torch.zeros(8, 64, 7, 7), 1)
    View(outer=8, channels=64, inner=49)
    >>> view_of(torch.zeros(8, 64, 7, 7).contiguous(memory_format=torch.channels_last), 1)
    View(outer=392, channels=64, inner=1)
    >>> view_of(torch.zeros(8, 64, 7, 7), (1, 2))
    View(outer=8, channels=448, inner=7)
    """
    axes = axes_of(channel_axis, x.ndim) if channel_axis != () else ()
    strides = zip(x.stride(), x.shape, range(x.ndim), strict=True)
    memory = sorted((place for place in strides if place[1] > 1), reverse=True)
    if not _dense(memory):
        return None
    channels = prod([x.shape[a] for a in axes])
    if channels == 1:
        return View(1, 1, x.numel())
    at = [k for k, (_, _, axis) in enumerate(memory) if axis in axes]
    together = at == list(range(at[0], at[-1] + 1))
    if not together or [memory[k][2] for k in at] != sorted(memory[k][2] for k in at):
        return None
    outer = prod([size for _, size, _ in memory[: at[0]]])
    return View(outer, channels, x.numel() // (outer * channels))


def _dense(memory: list[tuple[int, int, int]]) -> bool:
    """Whether axes (stride, size, axis), the outermost first, leave no gap and do not overlap."""
    expected = 1
    for stride, size, _ in reversed(memory):
        if stride != expected:
            return False
        expected *= size
    return True


def axes_of(channel_axis: Axes, ndim: int) -> tuple[int, ...]:
    """The axes as non-negative numbers in ascending order.

    Raises:  BadAxis when ``x`` has no such axis, or an axis is named twice

    >>> axes_of(-1, 4)
    (3,)
    """
    if isinstance(channel_axis, int) and -ndim <= channel_axis < ndim:
        return (channel_axis % ndim,)
    given = tuple(channel_axis) if isinstance(channel_axis, Iterable) else (channel_axis,)
    if all(isinstance(a, int) for a in given):
        axes = tuple(sorted(a + ndim if a < 0 else a for a in given))
        if axes and axes[0] >= 0 and axes[-1] < ndim and len(set(axes)) == len(axes):
            return axes
    raise BadAxis(
        "axes must be different axes of the tensor",
        got=f"axes {channel_axis} for a tensor of rank {ndim}",
        do=f"name axes from {-ndim} to {ndim - 1}, at least one, each once",
    )


def other_axes(axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """The axes that are not in ``axes``.

    >>> other_axes((1,), 4)
    (0, 2, 3)
    """
    return tuple(a for a in range(ndim) if a not in axes)


class Rows(NamedTuple):
    """How a tensor is handed to a kernel, as [N, C, *]: its axes in ``order``, then in ``shape``."""

    order: tuple[int, ...]
    moved: tuple[int, ...]
    shape: tuple[int, ...]

    def of(self, x: Tensor) -> Tensor:
        """The kernel's tensor; a view wherever ``x`` lies in memory as ``rows_of`` saw it."""
        x = x if self.order == tuple(range(x.ndim)) else x.permute(self.order)
        return x if self.shape == self.moved else x.reshape(self.shape)

    def back(self, y: Tensor) -> Tensor:
        """Undo ``of`` for a kernel's result."""
        y = y if self.shape == self.moved else y.reshape(self.moved)
        order = self.order
        if order == tuple(range(len(order))):
            return y
        return y.permute([order.index(axis) for axis in range(len(order))])


def rows_of(x: Tensor, axes: tuple[int, ...], device: str = "") -> Rows:
    """The rows of ``x`` for these channel axes: [N, C, *]; [count, channels] for several axes.

    On the CPU a dense tensor becomes [outer, C, inner] or [count, C] unless it is plain NCHW.
    torch tells layouts apart by their strides, and where an axis has size 1 it can take one for the
    other: its backward then reads dy in the wrong order (torch 2.13, [N, L, C] as [N, C, L, 1]).
    ``device``: where x is, when ``x`` itself is a stand-in.

    >>> rows_of(torch.zeros(8, 64, 7, 7), (1,)).shape
    (8, 64, 7, 7)
    >>> rows_of(torch.zeros(8, 7, 7, 64), (3,)).shape
    (392, 64)
    >>> rows_of(torch.zeros(8, 64, 7, 7), (1, 3)).shape
    (56, 448)
    """
    cpu = (device or x.device.type) == "cpu"
    if axes == (1,) and (not cpu or (x.is_contiguous() and min(x.shape) > 1)):
        return _rows(x, tuple(range(x.ndim)))
    rest = other_axes(axes, x.ndim)
    if len(axes) != 1 or x.ndim == 1:
        channels = prod([x.shape[a] for a in axes])
        return _rows(x, (*rest, *axes), (x.numel() // max(channels, 1), channels))
    (axis,) = axes
    if cpu and x.is_contiguous():
        outer, channels, inner = _outer_inner(x.shape, axis)
        shape = (outer, channels, inner) if inner != 1 else (outer, channels)
        return _rows(x, tuple(range(x.ndim)), shape)
    if cpu and x.movedim(axis, -1).is_contiguous():
        return _rows(x, (*rest, axis), (x.numel() // max(x.shape[axis], 1), x.shape[axis]))
    return _rows(x, (rest[0], axis, *rest[1:]))


def _rows(x: Tensor, order: tuple[int, ...], shape: tuple[int, ...] | None = None) -> Rows:
    moved = tuple(x.shape[axis] for axis in order)
    return Rows(order, moved, moved if shape is None else shape)


def _outer_inner(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
    return (1, 1, outer * inner) if shape[axis] == 1 else (outer, shape[axis], inner)


def check_float(x: Tensor, name: str = "x") -> None:
    """Raise BadDtype unless ``x`` is a tensor of floating-point numbers."""
    if not isinstance(x, Tensor):
        raise BadDtype(
            f"{name} must be a torch tensor",
            got=f"{name} of {type(x)}",
            do=f"convert it: torch.as_tensor({name})",
        )
    if x.dtype not in FLOATS:
        raise BadDtype(
            f"{name} must hold floating-point numbers",
            got=f"{name} of dtype {str(x.dtype).removeprefix('torch.')}",
            do=f"convert it, for example {name}.float()",
        )


def check_not_empty(x: Tensor, axes: tuple[int, ...]) -> None:
    """Raise EmptyBatch when no value falls to a channel."""
    if x.numel() == 0:
        raise EmptyBatch(
            "there is no value to take statistics of",
            got=f"x of shape {list(x.shape)}, channel axes {list(axes)}",
            do="skip empty batches, or drop the last one in the loader",
        )


def check_like(other: Tensor, x: Tensor, name: str) -> None:
    """Raise BadShape or BadDtype unless ``other`` has the shape and dtype of ``x``."""
    if other.shape != x.shape:
        raise BadShape(
            f"{name} must have the shape of x",
            got=f"{name} {list(other.shape)}, x {list(x.shape)}",
            do=f"project {name} to x's shape first, as a ResNet's downsampling branch does",
        )
    if other.dtype != x.dtype:
        raise BadDtype(
            f"{name} must have the dtype of x",
            got=f"{name} {other.dtype}, x {x.dtype}",
            do=f"convert it: {name}.to(x.dtype)",
        )


def check_broadcast(other: Tensor, x: Tensor, name: str) -> None:
    """Raise BadShape unless ``other`` broadcasts to the shape of ``x``."""
    sizes = zip(reversed(other.shape), reversed(x.shape), strict=False)
    if other.ndim > x.ndim or any(a not in (1, b) for a, b in sizes):
        raise BadShape(
            f"{name} must broadcast to x",
            got=f"{name} of shape {list(other.shape)}, x {list(x.shape)}",
            do="give sizes equal to x's, or 1, counted from the last axis",
        )


def check_vector(vector: Tensor | None, sizes: tuple[int, ...], name: str) -> None:
    """Raise BadShape unless ``vector`` is None or holds one number for each channel."""
    if vector is not None and tuple(vector.shape) != sizes:
        raise BadShape(
            f"{name} must hold one number for each channel",
            got=f"{name} of shape {list(vector.shape)}, channels {list(sizes)}",
            do="check the channel axis: [N, C, H, W] has its channels on axis 1, [N, H, W, C] on -1",
        )


def check_eps(eps: float) -> None:
    """Raise BadOption unless ``eps`` is 0 or a positive finite number."""
    if not 0 <= eps < inf:
        raise BadOption(
            "eps must be 0 or a positive number", got=eps, do="use 1e-5, or 1e-3 as in tf.layers"
        )


def statistics_dtype(x: Tensor) -> torch.dtype:
    """The dtype of statistics: float64 for float64, float32 for everything narrower."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32
