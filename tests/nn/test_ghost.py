"""GhostBatchNorm: groups normalized as if each were a batch of its own."""

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenkeel.errors import (
    BadAxis,
    BadOption,
    BadShape,
    EmptyBatch,
    NonFiniteBatch,
    OneValuePerChannel,
)
from evenkeel.nn import BatchNorm2d, CumulativeAverage, GhostBatchNorm, Population, ZeroDebiasedEma
from nn.twin import data, randomized
from oracles.compare import assert_close


def ghost(groups: str = "contiguous", ghost_size: int = 2, **options: Any) -> GhostBatchNorm:
    layer = GhostBatchNorm(3, ghost_size=ghost_size, groups=groups, dtype=torch.float64, **options)
    randomized(layer)
    return layer


def places(batch: int, ghost_size: int, groups: str) -> list[list[int]]:
    """The examples of each group, from the words of the two definitions."""
    count = batch // ghost_size
    if groups == "contiguous":
        return [list(range(g * ghost_size, (g + 1) * ghost_size)) for g in range(count)]
    return [[i for i in range(batch) if i % count == g] for g in range(count)]


@pytest.mark.parametrize("groups", ["contiguous", "strided"])
@pytest.mark.parametrize("ghost_size", [2, 3, 6])
@pytest.mark.parametrize("unbiased", [True, False])
def test_each_group_as_a_batch_of_its_own(groups: str, ghost_size: int, unbiased: bool) -> None:
    """Outputs and gradients against torch on every group; statistics: the average over groups."""
    layer = ghost(groups, ghost_size, running_var="unbiased" if unbiased else "biased")
    alone = nn.BatchNorm2d(3, dtype=torch.float64)
    alone.load_state_dict(layer.state_dict())
    assert layer.running_mean is not None
    assert layer.running_var is not None
    mean, var = layer.running_mean.clone(), layer.running_var.clone()
    for step, x in enumerate(data((6, 3, 5, 2)), start=1):
        mine, true = x.clone().requires_grad_(), x.clone().requires_grad_()
        residual = data((6, 3, 5, 2), seed=step)[0]
        y = layer(mine, residual=residual)
        want = torch.empty_like(x)
        parts = places(len(x), ghost_size, groups)
        for part in parts:
            want[part] = alone(true[part]) + residual[part]
        assert_close(y, want, 1e-12, "y")
        up = torch.linspace(-1, 1, x.numel(), dtype=torch.float64).view(x.shape)
        got = torch.autograd.grad(y, [mine, *layer.parameters()], up)
        wanted = torch.autograd.grad(want, [true, *alone.parameters()], up)
        for a, b in zip(got, wanted, strict=True):
            assert_close(a, b, 1e-11, "gradients")
        correction = int(unbiased)
        means = torch.stack([x[part].mean((0, 2, 3)) for part in parts]).mean(0)
        spreads = torch.stack([x[p].var((0, 2, 3), correction=correction) for p in parts]).mean(0)
        mean, var = 0.9 * mean + 0.1 * means, 0.9 * var + 0.1 * spreads
        assert_close(layer.running_mean, mean, 1e-12, "mean")
        assert_close(layer.running_var, var, 1e-12, "var")
        assert int(layer.num_batches_tracked or 0) == step


def test_the_groupings_differ() -> None:
    x = data((6, 3, 5, 2))[0]
    with pytest.raises(AssertionError):
        assert_close(ghost("strided")(x), ghost("contiguous")(x), 1e-3, "y")


@pytest.mark.parametrize("groups", ["contiguous", "strided"])
def test_population_is_that_of_all_values(groups: str) -> None:
    layer = ghost(groups, running=Population())
    batches = data((6, 3, 5, 2))
    for x in batches:
        layer(x)
    rows = torch.cat(batches).movedim(1, -1).reshape(-1, 3)
    assert_close(layer.running_mean, rows.mean(0), 1e-12, "mean")  # type: ignore[arg-type]
    assert_close(layer.running_var, rows.var(0), 1e-12, "var")  # type: ignore[arg-type]


@pytest.mark.parametrize("running", [CumulativeAverage(), ZeroDebiasedEma(0.2)], ids=repr)
def test_a_batch_counts_once_however_many_groups_it_has(running: Any) -> None:
    layer = ghost(running=running)
    for x in data((6, 3, 5, 2)):
        layer(x)
    assert int(layer.num_batches_tracked or 0) == 3


@pytest.mark.parametrize("axis", [-1, (1, 3)])
def test_other_channel_axes(axis: Any) -> None:
    x = data((4, 3, 5, 2), count=1)[0]
    sizes = (3, 2) if isinstance(axis, tuple) else 2
    layer = GhostBatchNorm(sizes, ghost_size=2, channel_axis=axis, dtype=torch.float64)
    one = BatchNorm2d(sizes, channel_axis=axis, dtype=torch.float64)
    assert_close(layer(x), torch.cat([one(x[:2]), one(x[2:])]), 1e-12, "y")


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_inference_takes_any_batch_and_equals_batch_norm(batch: int) -> None:
    layer = ghost(activation="relu").eval()
    one = BatchNorm2d(3, activation="relu", dtype=torch.float64)
    one.load_state_dict(layer.state_dict())
    x = data((batch, 3, 5, 2))[0]
    assert torch.equal(layer(x), one.eval()(x))
    assert torch.equal(layer(x, mask=torch.ones(batch, 5, 2)), one(x))


def test_one_group_is_batch_norm() -> None:
    x, layer = data((6, 3, 5, 2))[0], ghost(ghost_size=6)
    one = BatchNorm2d(3, dtype=torch.float64)
    one.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x), one(x))
    for name, tensor in layer.state_dict().items():  # the groups' average is taken elsewhere
        torch.testing.assert_close(tensor, one.state_dict()[name], rtol=1e-15, atol=1e-15)


def test_without_running_statistics_inference_is_by_groups_too() -> None:
    layer = GhostBatchNorm(3, ghost_size=2, track_running_stats=False, dtype=torch.float64)
    x = data((6, 3, 5, 2))[0]
    assert torch.equal(layer.eval()(x), layer.train()(x))


def test_one_bad_group_keeps_the_whole_batch_out() -> None:
    layer, x = ghost(), data((6, 3, 5, 2))[0]
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    x[5, 1, 2, 0] = float("nan")
    with pytest.warns(NonFiniteBatch):
        y = layer(x)
    assert y[:4].isfinite().all()
    assert y[4:, 1].isnan().all()
    assert all(torch.equal(t, before[name]) for name, t in layer.state_dict().items())


@pytest.mark.parametrize(
    ("shape", "options", "error"),
    [
        ((5, 3, 4, 4), {}, BadShape),
        ((1, 3, 4, 4), {}, BadShape),
        ((0, 3, 4, 4), {}, EmptyBatch),
        ((4, 3, 1, 1), {"ghost_size": 1}, OneValuePerChannel),
        ((3, 4, 4), {"channel_axis": 0}, BadAxis),
        ((3, 4, 4), {"channel_axis": -3}, BadAxis),
    ],
    ids=str,
)
def test_batches_that_cannot_be_cut(
    shape: tuple[int, ...], options: dict[str, Any], error: type[Exception]
) -> None:
    layer = GhostBatchNorm(3, **{"ghost_size": 2, **options})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error):
            layer(torch.zeros(shape))
    assert int(layer.num_batches_tracked or 0) == 0


def test_a_short_batch_is_told_from_the_right_one() -> None:
    with pytest.raises(BadShape, match="a batch of 5, ghost_size 2"):
        ghost()(torch.zeros(5, 3, 4, 4, dtype=torch.float64))


@pytest.mark.parametrize("options", [{"ghost_size": 0}, {"ghost_size": 2, "groups": "stride"}])
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(BadOption):
        GhostBatchNorm(3, **options)


def test_residual_of_another_shape() -> None:
    x: Tensor = data((6, 3, 5, 2))[0]
    with pytest.raises(BadShape, match="residual"):
        ghost()(x, residual=x[:4])
