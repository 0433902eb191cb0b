"""Rules of running statistics against their closed forms; the population against all its values."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from evenkeel.errors import BadOption, NonFiniteBatch
from evenkeel.nn import (
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    BatchRenorm,
    CumulativeAverage,
    Ema,
    Population,
    ZeroDebiasedEma,
)
from evenkeel.nn.running import Running
from nn.twin import Average, Twin, check, check_running, data, debiased, ema, plain, randomized
from oracles.compare import assert_close
from oracles.definitions import channels_last

RULES: dict[str, tuple[Running, Average, Average]] = {
    "ema": (Ema(0.3), ema(0.3), ema(0.3)),
    "cumulative": (CumulativeAverage(), plain, plain),
    "zero-debiased": (ZeroDebiasedEma(0.3), debiased(0.3), debiased(0.3)),
    "zero-debiased mean": (ZeroDebiasedEma(0.3, variance=False), debiased(0.3), ema(0.3)),
    "zero-debiased, all new": (ZeroDebiasedEma(1.0), debiased(1.0), debiased(1.0)),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_closed_forms(rule: str, unbiased: bool, dtype: torch.dtype) -> None:
    running, mean_rule, var_rule = RULES[rule]
    word = "unbiased" if unbiased else "biased"
    layer = randomized(BatchNorm1d(3, dtype=dtype, running=running, running_var=word))
    check(Twin(layer, mean_rule, var_rule, unbiased), data((7, 3), dtype, count=5))


@pytest.mark.parametrize("rule", [r for r in RULES if r != "ema"])
def test_another_rule_is_seen(rule: str) -> None:
    _, mean_rule, var_rule = RULES[rule]
    layer = randomized(BatchNorm1d(3, dtype=torch.float64, running=Ema(0.3)))
    with pytest.raises(AssertionError, match="running_"):
        check(Twin(layer, mean_rule, var_rule), data((7, 3), count=5))


def test_haiku_averages_from_zero_and_divides() -> None:
    """Haiku: hidden ← decay · hidden + (1 − decay) · x; average = hidden / (1 − decay^t)."""
    layer = BatchNorm1d(2, dtype=torch.float64, running=ZeroDebiasedEma(0.1), running_var="biased")
    hidden, decay = torch.zeros(2, dtype=torch.float64), 0.9
    for t, x in enumerate(data((5, 2), count=6), start=1):
        layer(x)
        hidden = decay * hidden + (1 - decay) * x.var(0, correction=0)
        assert_close(layer.running_var, hidden / (1 - decay**t), 1e-12, f"after {t}")  # type: ignore[arg-type]


def population_of(x: Tensor, axis: Any, unbiased: bool) -> tuple[Tensor, Tensor]:
    rows = channels_last(x, axis)
    return rows.mean(0), rows.var(0, correction=int(unbiased))


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(2, 17), min_size=1, max_size=6),
    distance=st.sampled_from([0.0, 1.0, 1e2, 1e4]),
    unbiased=st.booleans(),
    axis=st.sampled_from([1, -1, (1, 2)]),
    seed=st.integers(0, 1000),
)
def test_population_whatever_the_batches(
    cuts: list[int], distance: float, unbiased: bool, axis: Any, seed: int
) -> None:
    """The same statistics for any split of the data, those of all of it in float64."""
    x = data((sum(cuts), 3, 4), torch.float64, distance, 1, seed)[0]
    sizes = (3, 4) if isinstance(axis, tuple) else x.shape[axis]
    layer = BatchNorm1d(
        sizes,
        dtype=torch.float64,
        running=Population(),
        running_var="unbiased" if unbiased else "biased",
        channel_axis=axis,
    )
    for part in torch.split(x, cuts):
        layer(part)
    mean, var = population_of(x, axis, unbiased)
    shape = layer.spec.channels
    assert layer.running_mean is not None
    assert layer.running_var is not None
    assert_close(layer.running_mean, mean.view(shape), 1e-12, "mean")
    assert_close(layer.running_var, var.view(shape), 1e-10, "var")
    count = x.numel() // mean.numel()
    assert layer.state_dict()["population_count"].unique().tolist() == [count]


def test_population_of_float32_far_from_zero() -> None:
    x = data((64, 3, 5), torch.float32, 1e4, 1)[0]
    layer = BatchNorm1d(3, running=Population())
    for part in torch.split(x, [10, 30, 2, 22]):
        layer(part)
    mean, var = population_of(x, 1, True)
    assert_close(layer.running_mean, mean, 1e-6, "mean", dtype=torch.float32)  # type: ignore[arg-type]
    # a batch's mean is float32: its rounding, 10⁴·2⁻²⁴, enters the spread between batches
    assert_close(layer.running_var, var, 3e-3, "var", dtype=torch.float32)  # type: ignore[arg-type]


def test_population_keeps_float64_through_every_conversion() -> None:
    layer = BatchNorm1d(3, running=Population())
    layer(data((6, 3), torch.float32)[0] * 1000)
    before = layer.state_dict()["population_m2"].clone()
    for convert in ("half", "bfloat16", "float", "double"):
        getattr(layer, convert)()
        after = layer.state_dict()["population_m2"]
        assert torch.equal(after, before)
        assert after.dtype == torch.float64
    assert layer.to("meta").state_dict()["population_m2"].device.type == "meta"


def test_population_with_a_mask_counts_real_values() -> None:
    layer = BatchNorm1d(3, running=Population(), dtype=torch.float64)
    x, mask = (
        data((6, 3, 5), count=1)[0],
        torch.arange(5) < torch.tensor([5, 3, 1, 4, 2, 5])[:, None],
    )
    layer(x[:4], mask=mask[:4])
    layer(x[4:], mask=mask[4:])
    real = x.movedim(1, -1)[mask]
    assert layer.state_dict()["population_count"].tolist() == [len(real)] * 3
    assert_close(layer.running_mean, real.mean(0), 1e-12, "mean")  # type: ignore[arg-type]
    assert_close(layer.running_var, real.var(0), 1e-12, "var")  # type: ignore[arg-type]


def test_population_reset() -> None:
    layer = BatchNorm1d(3, running=Population())
    layer(data((6, 3), torch.float32)[0])
    layer.reset_running_stats()
    assert all(
        torch.equal(tensor, BatchNorm1d(3, running=Population()).state_dict()[name])
        for name, tensor in layer.state_dict().items()
    )


def test_extra_state_only_where_a_rule_needs_it() -> None:
    torchs = set(torch.nn.BatchNorm1d(3).state_dict())
    for running in (None, Ema(0.1), CumulativeAverage(), ZeroDebiasedEma(0.1)):
        assert set(BatchNorm1d(3, running=running).state_dict()) == torchs
    extra = {"population_count", "population_mean", "population_m2"}
    assert set(BatchNorm1d(3, running=Population()).state_dict()) == torchs | extra
    assert not extra & set(
        BatchNorm1d(3, running=Population(), track_running_stats=False).state_dict()
    )


@pytest.mark.parametrize("running", [r for r, _, _ in RULES.values()] + [Population()], ids=repr)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 3e38])
def test_a_batch_that_is_not_finite(running: Running, bad: float) -> None:
    """3e38 is finite, its square is not: the variance would be infinite."""
    layer, torchs = BatchNorm1d(3, running=running), torch.nn.BatchNorm1d(3)
    first, second, third = data((6, 3), torch.float32)
    layer(first)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    second[2, 1] = bad
    with pytest.warns(NonFiniteBatch, match="BatchNorm1d"):
        y = layer(second)
    assert_close(y, torchs(second), 1e-6, "y")
    assert all(torch.equal(t, before[name]) for name, t in layer.state_dict().items())
    layer(third)
    assert int(layer.state_dict()["num_batches_tracked"]) == 2
    assert all(t.isfinite().all() for t in layer.state_dict().values())


@pytest.mark.parametrize("make", [BatchNorm1d, BatchRenorm], ids=lambda m: m.__name__)
def test_a_float16_layer_with_a_variance_beyond_float16(make: Any) -> None:
    layer = make(3, momentum=0.1).half()
    x = (data((64, 3), torch.float32)[0] * 400).half()
    layer(x)
    var = x.double().var(0, correction=int(make is BatchNorm1d))
    assert var.min() > torch.finfo(torch.float16).max
    want = 0.9 + 0.1 * var if make is BatchNorm1d else (0.9 + 0.1 * var.sqrt()) ** 2
    assert_close(layer.running_var, want, 2e-3, "running_var", dtype=torch.float16)


def test_statistics_of_a_frozen_past_go_on_from_a_checkpoint() -> None:
    """A debiased average that is loaded with its counter goes on as if it had not stopped."""
    batches = data((7, 3), count=5)
    one = BatchNorm1d(3, dtype=torch.float64, running=ZeroDebiasedEma(0.3))
    for x in batches[:3]:
        one(x)
    other = BatchNorm1d(3, dtype=torch.float64, running=ZeroDebiasedEma(0.3))
    other.load_state_dict(one.state_dict())
    for x in batches[3:]:
        one(x)
        other(x)
    assert_close(other.running_mean, one.running_mean, 0, "mean")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ema(-0.1),
        lambda: Ema(float("nan")),
        lambda: ZeroDebiasedEma(0.0),
        lambda: ZeroDebiasedEma(1.5),
        lambda: BatchNorm1d(3, momentum=0.2, running=Ema(0.3)),
        lambda: BatchNorm1d(3, momentum=0.2, running=Population()),
        lambda: BatchNorm1d(3, running=Population),  # type: ignore[arg-type]
        lambda: BatchNorm1d(3, running="ema"),  # type: ignore[arg-type]
        lambda: setattr(BatchNorm1d(3, running=Population()), "momentum", 0.1),
    ],
)
def test_bad_rules(make: Any) -> None:
    with pytest.raises(BadOption):
        make()


def test_setting_momentum_keeps_the_kind_of_rule() -> None:
    layer = BatchNorm2d(3, running=ZeroDebiasedEma(0.2, variance=False))
    layer.momentum = 0.4
    assert layer.spec.running == ZeroDebiasedEma(0.4, variance=False)
    layer.momentum = None
    layer.momentum = 0.2
    assert layer.spec.running == ZeroDebiasedEma(0.2, variance=False)
    population: BatchNorm = BatchNorm2d(3, running=Population())
    population.momentum = None
    assert population.spec.running == Population()


def test_a_momentum_of_none_averages_plainly_until_one_comes_back() -> None:
    layer = randomized(BatchNorm1d(3, dtype=torch.float64, running=ZeroDebiasedEma(0.3)))
    layer.momentum = None
    twin = Twin(layer, plain, plain)
    for x in data((7, 3), count=4):
        layer(x)
        twin.see(x)
    check_running(twin, torch.float64)
