"""GhostBatchNorm: each part of the batch normalized by itself, as if the batch were small."""

from typing import Any

import torch
from torch import Tensor

from evenkeel.errors import BadAxis, BadOption, BadShape
from evenkeel.functional.statistics import Moments, merge_nonempty
from evenkeel.nn.batch_norm import BatchNorm
from evenkeel.nn.running import Population
from evenkeel.nn.spec import DEFAULT_EPS, DEFAULT_MOMENTUM, Spec
from evenkeel.nn.steps import by_batch
from evenkeel.views import check_like, check_not_empty


class GhostBatchNorm(BatchNorm):
    """Batch normalization over groups of ``ghost_size`` examples; inference as BatchNorm.

    Math:    training: group g of the batch is normalized by its own mean and variance;
             running ← (1 − momentum) · running + momentum · average over groups
             (running=Population() merges the groups exactly instead)
    Groups:  "contiguous": examples g·v … g·v + v − 1, as a device of a data-parallel run sees them;
             "strided": examples g, g + G, g + 2G, … of G groups, as TensorFlow's
             ``virtual_batch_size`` takes them
    Shapes:  as BatchNorm; the first axis is the batch, and no channel axis
    Raises:  as BatchNorm; BadShape when the batch is no multiple of ``ghost_size``; BadOption for a
             mask or weights in training
    Source:  Hoffer et al. 2017, arXiv:1705.08741, section 4; tf.layers.batch_normalization

    >>> layer = GhostBatchNorm(3, ghost_size=4)
    >>> layer(torch.randn(8, 3)).shape
    torch.Size([8, 3])
    """

    def __init__(
        self,
        num_features: int | tuple[int, ...],
        eps: float = DEFAULT_EPS,
        momentum: float | None = DEFAULT_MOMENTUM,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        ghost_size: int,
        groups: str = "contiguous",
        **options: Any,  # BatchNorm's keyword-only arguments, checked there
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, **options
        )
        if not isinstance(ghost_size, int) or ghost_size < 1:
            raise BadOption("ghost_size counts examples", got=ghost_size, do="give 1 or more")
        if groups not in ("contiguous", "strided"):
            raise BadOption(
                "unknown grouping", got=repr(groups), do='use "contiguous" or "strided"'
            )
        self.ghost_size, self.groups = ghost_size, groups

    def extra_repr(self) -> str:
        """BatchNorm's, and the groups."""
        return f"{super().extra_repr()}, ghost_size={self.ghost_size}, groups={self.groups!r}"

    @property
    def _torch_training(self) -> bool:
        return False

    def _forward_by_batch(
        self, x: Tensor, residual: Tensor | None, weights: Tensor | None
    ) -> Tensor:
        """Normalize group by group; in training also move the running statistics."""
        self.spec.check_input(x)
        if weights is not None:
            raise BadOption(
                "GhostBatchNorm takes no mask or weights",
                got="one of them",
                do="use BatchNorm with a mask",
            )
        self._check_batch(x)
        parts = self._groups_of(x)
        rests: list[Tensor] | list[None] = [None] * len(parts)
        if residual is not None:
            check_like(residual, x, "residual")
            rests = self._groups_of(residual)
        pairs = zip(parts, rests, strict=True)
        done = [by_batch(self.spec, part, self.weight, self.bias, rest) for part, rest in pairs]
        self._move(_together(self.spec, [batch for _, batch in done]))
        outputs = [y for y, _ in done]
        strided = self.groups == "strided"
        return torch.stack(outputs, 1).flatten(0, 1) if strided else torch.cat(outputs)

    def _groups_of(self, x: Tensor) -> list[Tensor]:
        return split(x, self.ghost_size, strided=self.groups == "strided")

    def _check_batch(self, x: Tensor) -> None:
        axes = self.spec.axes(x.ndim)
        check_not_empty(x, axes)
        if 0 in axes:
            raise BadAxis(
                "ghost groups are cut from the first axis, which must not hold channels",
                got=f"channel_axis {self.spec.channel_axis}, x of shape {list(x.shape)}",
                do="put the batch first",
            )


def split(x: Tensor, ghost_size: int, *, strided: bool) -> list[Tensor]:
    """The groups of a batch, each [ghost_size, *].

    >>> [g.tolist() for g in split(torch.arange(4), 2, strided=False)]
    [[0, 1], [2, 3]]
    >>> [g.tolist() for g in split(torch.arange(4), 2, strided=True)]
    [[0, 2], [1, 3]]
    """
    if len(x) % ghost_size:
        raise BadShape(
            "the batch must be a multiple of ghost_size",
            got=f"a batch of {len(x)}, ghost_size {ghost_size}",
            do="drop the last, short batch in the loader, or choose a size that divides the batch",
        )
    count = len(x) // ghost_size
    return [x[g::count] for g in range(count)] if strided else list(torch.split(x, ghost_size))


def _together(spec: Spec, parts: list[Moments]) -> Moments:
    """What the running statistics see of all groups."""
    if isinstance(spec.running, Population):
        return merge_nonempty(*parts)
    mean, var = (torch.stack([p[i] for p in parts]).mean(0) for i in (0, 1))  # type: ignore[misc]
    return Moments(mean, var, parts[0].count)
