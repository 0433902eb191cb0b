"""The promise of docs/numerics.md: f32 variance within 1e-5 of itself at |mean|/std = 10⁴, everywhere.

Peers' figures on the same input are recorded beside ours (pytest --junitxml shows them), not asserted:
they may get better.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from evenkeel import functional as ek
from oracles.definitions import Axes, channels_last, moments
from oracles.strategies import DISTANCES, LAYOUTS, values

BOUND = 1e-5
Variance = Callable[[Tensor, Axes], Tensor]
Record = Callable[[str, object], None]


def error(variance: Tensor, x: Tensor, channel_axis: Axes) -> float:
    """Largest relative error of the channels' variances."""
    _, want = moments(channels_last(x, channel_axis))
    return float(((variance.double().flatten() - want) / want).abs().max())


def rest(x: Tensor, channel_axis: Axes) -> tuple[int, ...]:
    chosen = (channel_axis,) if isinstance(channel_axis, int) else channel_axis
    kept = {a % x.ndim for a in chosen}
    return tuple(a for a in range(x.ndim) if a not in kept)


def by_moments(x: Tensor, channel_axis: Axes) -> Tensor:
    return ek.moments(x, rest(x, channel_axis)).var


def by_weighted_moments(x: Tensor, channel_axis: Axes) -> Tensor:
    return ek.weighted_moments(x, rest(x, channel_axis), torch.ones(())).var


def by_fused_batch_norm(x: Tensor, channel_axis: Axes) -> Tensor:
    y, _, var = ek.fused_batch_norm(x, None, None, channel_axis=channel_axis)
    count = y.numel() / var.numel()
    return var * (count - 1) / count


def by_batch_norm(x: Tensor, channel_axis: Axes) -> Tensor:
    sizes = by_moments(x, channel_axis).shape
    mean, var = torch.zeros(sizes), torch.zeros(sizes)
    ek.batch_norm(x, mean, var, training=True, momentum=1.0, channel_axis=channel_axis)
    count = x.numel() / var.numel()
    return var * (count - 1) / count


OURS: dict[str, Variance] = {
    "moments": by_moments,
    "weighted_moments": by_weighted_moments,
    "fused_batch_norm": by_fused_batch_norm,
    "batch_norm": by_batch_norm,
}


def by_torch(x: Tensor, channel_axis: Axes) -> Tensor:
    """torch.nn.functional.batch_norm, which takes channels on axis 1 alone."""
    rows = x.movedim(channel_axis, 1) if isinstance(channel_axis, int) else x
    mean, var = torch.zeros(rows.shape[1]), torch.zeros(rows.shape[1])
    F.batch_norm(rows, mean, var, training=True, momentum=1.0)
    count = x.numel() / var.numel()
    return var * (count - 1) / count


def about_zero(x: Tensor, channel_axis: Axes) -> Tensor:
    """E[x²] − E[x]², clipped: the default of Flax, and Haiku without the clip."""
    axes = rest(x, channel_axis)
    return (x.square().mean(axes) - x.mean(axes).square()).clamp_min(0)


@pytest.fixture(scope="module")
def block() -> Tensor:
    return values((32, 16, 28, 28), 0.0, 0)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_variance(
    name: str, distance: float, layout: str, block: Tensor, record_property: Record
) -> None:
    x, axis = LAYOUTS[layout]((block + distance).float())
    ours = error(OURS[name](x, axis), x, axis)
    record_property("ours", ours)
    record_property("E[x²] − E[x]² in float32", error(about_zero(x, axis), x, axis))
    if layout != "tuple":
        theirs = error(by_torch(x, axis), x, axis)
        record_property("torch.nn.functional.batch_norm", theirs)
        record_property("torch is worse", theirs > ours)
    assert ours <= BOUND


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_mean_is_rounded_once(distance: float, layout: str, block: Tensor) -> None:
    """A plain sum over a count is off by twice as much."""
    x, axis = LAYOUTS[layout]((block + distance).float())
    want, var = moments(channels_last(x, axis))
    for got in (
        ek.moments(x, rest(x, axis)),
        ek.weighted_moments(x, rest(x, axis), torch.ones(())),
    ):
        off = (got.mean.double().flatten() - want).abs() / (want.abs() + var.sqrt())
        assert float(off.max()) <= 2.0**-24


@pytest.mark.parametrize("name", OURS)
def test_one_channel_of_many_values(name: str, record_property: Record) -> None:
    """torch 2.13 takes [N, 1] for channels-last and is off by a factor of 140 here."""
    x = values((200_000, 1), 1e4, 1).float()
    record_property("torch.nn.functional.batch_norm", error(by_torch(x, 1), x, 1))
    assert error(OURS[name](x, 1), x, 1) <= BOUND


@pytest.mark.parametrize("name", OURS)
def test_a_million_values_between_channels(name: str) -> None:
    """Sums over several axes that memory does not join: one float32 after the other, were it not
    for ``summed`` (3e-5)."""
    x = values((120_000, 4, 3, 2), 1e4, 2).float()
    assert error(OURS[name](x, 2), x, 2) <= BOUND


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_the_bound_rejects_the_variance_about_zero(layout: str, block: Tensor) -> None:
    x, axis = LAYOUTS[layout]((block + 1e4).float())
    assert error(about_zero(x, axis), x, axis) > BOUND


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_half_precision_has_float32_statistics(dtype: torch.dtype, layout: str) -> None:
    """The input is rounded; the variance of what is left of it is not."""
    x, axis = LAYOUTS[layout]((values((32, 4, 14, 14), 100.0, 3)).to(dtype))
    for name, variance in OURS.items():
        assert error(variance(x, axis), x, axis) <= BOUND, name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_double_precision_keeps_its_own(layout: str) -> None:
    x, axis = LAYOUTS[layout](values((32, 4, 14, 14), 1e4, 4))
    for variance in (by_moments, by_fused_batch_norm):
        assert error(variance(x, axis), x, axis) <= 1e-13
