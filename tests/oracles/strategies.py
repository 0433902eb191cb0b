"""What hypothesis draws: input tensors of every layout, dtype and distance from zero.

A case is a handful of small numbers and a seed, so that it shrinks well; its values come from the
seed. |mean|/std is 0, 1, 10² or 10⁴: data around zero hides the commonest fault.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from oracles.definitions import Axes

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
DISTANCES = (0.0, 1.0, 1e2, 1e4)

# From x [N, C, H, W] to the same values in another layout, and the channel axis there.
LAYOUTS: dict[str, Callable[[Tensor], tuple[Tensor, Axes]]] = {
    "nchw": lambda x: (x.contiguous(), 1),
    "nc": lambda x: (x.movedim(1, -1).flatten(0, 2).contiguous(), 1),
    "ncl": lambda x: (x.flatten(2).contiguous(), 1),
    "channels_last": lambda x: (x.contiguous(memory_format=torch.channels_last), 1),
    "nhwc": lambda x: (x.movedim(1, -1).contiguous(), -1),
    "axis0": lambda x: (x.transpose(0, 1).contiguous(), 0),
    "strided": lambda x: (x.repeat_interleave(2, 3)[..., ::2], 1),
    # Dense, but in no order that a framework has a name for.
    "permuted": lambda x: (x.permute(2, 1, 0, 3).contiguous().permute(2, 1, 0, 3), 1),
    "tuple": lambda x: (x.contiguous(), (1, 3)),
}


@dataclass(frozen=True)
class Case:
    """An input, its channel axis, and a generator for whatever goes with it."""

    x: Tensor
    channel_axis: Axes
    layout: str
    distance: float
    seed: int

    def normal(self, *shape: int, salt: int = 1, dtype: torch.dtype | None = None) -> Tensor:
        """Standard normal values that depend on the case's seed and ``salt`` alone."""
        values = torch.randn(*shape, generator=torch.Generator().manual_seed(self.seed + salt))
        return values.to(dtype or self.x.dtype)

    @property
    def channels(self) -> tuple[int, ...]:
        """The sizes of the channel axes."""
        axes = (self.channel_axis,) if isinstance(self.channel_axis, int) else self.channel_axis
        return tuple(self.x.shape[a] for a in sorted(a % self.x.ndim for a in axes))

    @property
    def count(self) -> int:
        """The number of values of each channel."""
        return self.x.numel() // torch.Size(self.channels).numel()


def values(shape: tuple[int, ...], distance: float, seed: int) -> Tensor:
    """Normal values in float64 with standard deviation 1 at this distance from zero."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn + distance


@st.composite
def cases(
    draw: st.DrawFn,
    dtypes: tuple[torch.dtype, ...] = DTYPES,
    layouts: tuple[str, ...] = tuple(LAYOUTS),
    distances: tuple[float, ...] = DISTANCES,
) -> Case:
    """An input with one value, one channel, constant channels among them."""
    shape = (
        draw(st.integers(1, 6), label="N"),
        draw(st.integers(1, 5), label="C"),
        draw(st.integers(1, 5), label="H"),
        draw(st.integers(1, 4), label="W"),
    )
    seed, distance = draw(st.integers(0, 2**16)), draw(st.sampled_from(distances))
    x = values(shape, distance, seed)
    if draw(st.booleans(), label="the first channel is constant"):
        x[:, 0] = x[0, 0, 0, 0].item()
    layout = draw(st.sampled_from(layouts))
    placed, axis = LAYOUTS[layout](x.to(draw(st.sampled_from(dtypes))))
    return Case(placed, axis, layout, distance, seed)
