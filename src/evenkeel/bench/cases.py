"""The shapes that are measured: real layers of real networks, in both layouts."""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from evenkeel.errors import UnknownName
from evenkeel.tables import Table

LAYOUTS = ("nchw", "nhwc")

SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    # batch 32 at 224×224: the stem, then each stage's narrow and wide layers
    "resnet50": (
        (32, 64, 112, 112),
        (32, 64, 56, 56),
        (32, 256, 56, 56),
        (32, 128, 28, 28),
        (32, 512, 28, 28),
        (32, 256, 14, 14),
        (32, 1024, 14, 14),
        (32, 512, 7, 7),
        (32, 2048, 7, 7),
    ),
    # batch 32 at 224×224: the stem and the expanded or projected layer of each stage
    "mobilenetv2": (
        (32, 32, 112, 112),
        (32, 24, 56, 56),
        (32, 144, 56, 56),
        (32, 192, 28, 28),
        (32, 384, 14, 14),
        (32, 960, 7, 7),
    ),
    # batch 64 of 28×28 digits: one layer before each stride of 2
    "conv20": (
        (64, 4, 28, 28),
        (64, 12, 14, 14),
        (64, 24, 7, 7),
        (64, 36, 4, 4),
        (64, 48, 2, 2),
        (64, 76, 1, 1),
    ),
    "dense": ((64, 100), (250, 300), (1024, 1024)),
}
QUICK = ("conv20-64x36x4x4-nchw", "conv20-64x36x4x4-nhwc", "dense-64x100-nc")


@dataclass(frozen=True, slots=True)
class Case:
    """One input of batch normalization: whose it is, its shape [N, C, *], how it lies in memory."""

    network: str
    shape: tuple[int, ...]
    layout: str

    @property
    def name(self) -> str:
        """What ``--case`` searches.

        >>> Case("conv20", (64, 4, 28, 28), "nhwc").name
        'conv20-64x4x28x28-nhwc'
        """
        return f"{self.network}-{'x'.join(map(str, self.shape))}-{self.layout}"

    @property
    def values(self) -> int:
        """How many numbers x has."""
        return prod(self.shape)

    def megabytes(self, dtype: torch.dtype) -> float:
        """How large x is, in 2²⁰ bytes."""
        return self.values * dtype.itemsize / 2**20

    def laid_out(self, x: Tensor) -> Tensor:
        """The tensor, dense in this case's layout."""
        if self.layout == "nhwc":
            return x.contiguous(memory_format=torch.channels_last)
        return x.contiguous()


CASES: Table[Case] = Table("case")
for _network, _shapes in SHAPES.items():
    for _shape in _shapes:
        for _layout in LAYOUTS if len(_shape) == 4 else ("nc",):
            _case = Case(_network, _shape, _layout)
            CASES.add(_case.name)(_case)


def cases_of(part: str, quick: bool) -> list[Case]:
    """The cases whose name contains ``part``; only a few small ones when ``quick``.

    Raises:  UnknownName when there is none

    >>> [case.name for case in cases_of("dense-1024", quick=False)]
    ['dense-1024x1024-nc']
    """
    found = [case for name, case in CASES.items() if part in name]
    if quick and not part:
        return [CASES[name] for name in QUICK]
    if not found:
        CASES[part]  # raises with the neighbours
        raise UnknownName("no case has this in its name", got=part, do="leave --case out")
    return found
