"""Every layer class with every option, as a table: what the contracts and the tools run through."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from evenkeel.kernels.activations import ACTIVATIONS
from evenkeel.nn import (
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    BatchRenorm,
    CumulativeAverage,
    Ema,
    FrozenBatchNorm,
    GhostBatchNorm,
    Population,
    RenormLimits,
    SyncBatchNorm,
    ZeroDebiasedEma,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One layer: its class and options, and an input that it takes.

    ``torch_inference``, ``torch_training``: torch's class with the same tensors does the same there.
    ``corrected``: r and d of BatchRenorm are constants to autograd, not to finite differences.
    ``then`` is done to a new layer.
    """

    kind: Callable[..., nn.Module]
    options: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = (8, 3, 4, 5)
    torch_inference: bool = True
    torch_training: bool = True
    corrected: bool = False
    then: Callable[[nn.Module], nn.Module] | None = None

    @property
    def axes(self) -> tuple[int, ...]:
        """The channel axes, not negative."""
        given = self.options.get("channel_axis", 1)
        chosen = (given,) if isinstance(given, int) else given
        return tuple(a % len(self.shape) for a in chosen)

    def layer(
        self, dtype: torch.dtype = torch.float32, shape: tuple[int, ...] | None = None
    ) -> Any:  # the classes have no common base that knows weights and statistics
        """A new layer, whose parameters and running statistics are not the initial ones."""
        torch.manual_seed(0)
        sizes = tuple((shape or self.shape)[a] for a in self.axes)
        several = isinstance(self.options.get("channel_axis", 1), tuple)
        layer = self.kind(sizes if several else sizes[0], dtype=dtype, **self.options)
        with torch.no_grad():
            for name in ("weight", "bias", "running_mean", "running_var"):
                if getattr(layer, name, None) is not None:
                    getattr(layer, name).uniform_(0.5, 1.5)
        return layer if self.then is None else self.then(layer)

    def input(
        self,
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
        shape: tuple[int, ...] | None = None,
    ) -> Tensor:
        """Normal values around 1."""
        generator = torch.Generator().manual_seed(seed)
        return (torch.randn(shape or self.shape, generator=generator) + 1).to(dtype)


def _own(row: Row, training: bool = True) -> Row:
    """The row, with the note that torch's class does otherwise in inference, or in training only."""
    return Row(row.kind, row.options, row.shape, training, False, row.corrected, row.then)


def _freeze(layer: nn.Module) -> nn.Module:
    return FrozenBatchNorm.freeze(layer, train_affine=True)


_LIKE_TORCH = {
    "1d": Row(BatchNorm1d, {}, (8, 3)),
    "1d sequence": Row(BatchNorm1d, {}, (8, 3, 5)),
    "2d": Row(BatchNorm2d),
    "3d": Row(BatchNorm3d, {}, (4, 3, 2, 3, 2)),
    "any rank": Row(BatchNorm, {}, (4, 3, 2, 2, 2, 2)),
    "no affine": Row(BatchNorm2d, {"affine": False}),
    "no center": Row(BatchNorm2d, {"center": False}),
    "no scale": Row(BatchNorm2d, {"scale": False}),
    "no bias": Row(BatchNorm2d, {"bias": False}),
    "no statistics": Row(BatchNorm2d, {"track_running_stats": False}),
    "cumulative": Row(BatchNorm2d, {"momentum": None}),
    "cumulative rule": Row(BatchNorm2d, {"running": CumulativeAverage()}),
    "ema rule": Row(BatchNorm2d, {"running": Ema(0.3)}),
    "frozen": Row(FrozenBatchNorm),
}
_LIKE_TORCH_IN_INFERENCE = {
    "biased": Row(BatchNorm2d, {"running_var": "biased"}),
    "zero-debiased": Row(BatchNorm2d, {"running": ZeroDebiasedEma(0.2)}),
    "zero-debiased mean": Row(BatchNorm2d, {"running": ZeroDebiasedEma(0.2, variance=False)}),
    "population": Row(BatchNorm2d, {"running": Population()}),
    "ghost": Row(GhostBatchNorm, {"ghost_size": 4}),
    "ghost strided": Row(GhostBatchNorm, {"ghost_size": 4, "groups": "strided"}),
    "ghost population": Row(GhostBatchNorm, {"ghost_size": 2, "running": Population()}),
    "sync": Row(SyncBatchNorm),
    "renorm": Row(BatchRenorm, {"limits": RenormLimits(1.5, 0.5)}, corrected=True),
    "renorm schedule": Row(BatchRenorm),
    "renorm momentum": Row(
        BatchRenorm, {"limits": RenormLimits(3.0, 5.0), "renorm_momentum": 0.3}, corrected=True
    ),
    "frozen population": Row(BatchNorm2d, {"running": Population()}, then=_freeze),
}
_UNLIKE_TORCH = {
    "last axis": Row(BatchNorm2d, {"channel_axis": -1}),
    "first axis": Row(BatchNorm2d, {"channel_axis": 0}),
    "two axes": Row(BatchNorm2d, {"channel_axis": (1, 3)}),
    "per activation": Row(BatchNorm2d, {"channel_axis": (1, 2, 3)}, (8, 3, 2, 2)),
    **{name: Row(BatchNorm2d, {"activation": name}) for name in ACTIVATIONS},
    "ghost relu": Row(GhostBatchNorm, {"ghost_size": 4, "activation": "relu"}),
    "ghost last axis": Row(GhostBatchNorm, {"ghost_size": 4, "channel_axis": -1}),
    "sync relu": Row(SyncBatchNorm, {"activation": "relu"}),
    "renorm relu": Row(BatchRenorm, {"activation": "relu"}),
    "renorm last axis": Row(BatchRenorm, {"channel_axis": -1}),
    "frozen relu": Row(FrozenBatchNorm, {"activation": "relu"}),
    "frozen last axis": Row(FrozenBatchNorm, {"channel_axis": -1}),
}
ROWS: dict[str, Row] = {
    **_LIKE_TORCH,
    **{name: _own(row) for name, row in _LIKE_TORCH_IN_INFERENCE.items()},
    **{name: _own(row, training=False) for name, row in _UNLIKE_TORCH.items()},
}
