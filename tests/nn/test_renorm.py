"""BatchRenorm against Algorithm 1 of the paper, written out in float64."""

from dataclasses import dataclass, field
from math import inf
from typing import Any

import pytest
import torch
from torch import Tensor

from evenkeel.errors import BadOption, NonFiniteBatch, NoStatistics
from evenkeel.nn import (
    BatchNorm1d,
    BatchRenorm,
    Population,
    RenormLimits,
    RenormSchedule,
    ZeroDebiasedEma,
)
from nn.twin import data, randomized
from oracles.compare import assert_close

EPS = 1e-3
SCHEDULE = RenormSchedule(start=10, r_max=3.0, r_end=30, d_max=5.0, d_end=20)


@dataclass
class Paper:
    """Ioffe 2017, Algorithm 1, for [N, C]; μ and σ are the averages before the batch."""

    layer: BatchRenorm
    limits: tuple[float, float, float] = (1 / 3, 3.0, 5.0)
    rates: tuple[float, float | None] = (0.1, None)
    mu: Tensor = field(init=False)
    sigma: Tensor = field(init=False)
    reference: tuple[Tensor, Tensor] | None = None
    through: bool = False  # a fault: gradients through r and d

    def __post_init__(self) -> None:
        assert self.layer.running_mean is not None
        assert self.layer.running_var is not None
        self.mu = self.layer.running_mean.clone()
        self.sigma = (self.layer.running_var + EPS).sqrt()
        if self.rates[1] is not None:
            ones = torch.ones_like(self.mu)
            self.reference = (0 * ones, ones)

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        low, high, shift = self.limits
        mean = x.mean(0)
        std = ((x - mean).square().mean(0) + EPS).sqrt()
        mu, sigma = self.reference or (self.mu, self.sigma)
        r, d = (std / sigma).clamp(low, high), ((mean - mu) / sigma).clamp(-shift, shift)
        r, d = (r, d) if self.through else (r.detach(), d.detach())
        self.move(mean.detach(), std.detach())
        return weight * ((x - mean) / std * r + d) + bias

    def move(self, mean: Tensor, std: Tensor) -> None:
        rate, other = self.rates
        self.mu, self.sigma = (
            self.mu + rate * (mean - self.mu),
            self.sigma + rate * (std - self.sigma),
        )
        if self.reference is not None and other is not None:
            mu, sigma = self.reference
            self.reference = (mu + other * (mean - mu), sigma + other * (std - sigma))


def renorm(**options: Any) -> BatchRenorm:
    layer = BatchRenorm(3, EPS, 0.1, dtype=torch.float64, **options)
    randomized(layer)
    return layer


def check(layer: BatchRenorm, paper: Paper, steps: int = 4) -> None:
    """Outputs, gradients (none through r and d) and averages, step by step; then inference."""
    for x in data((7, 3), count=steps):
        mine = [v.detach().clone().requires_grad_() for v in (x, *layer.parameters())]
        true = [v.detach().clone().requires_grad_() for v in mine]
        y = torch.func.functional_call(layer, {"weight": mine[1], "bias": mine[2]}, (mine[0],))
        want = paper(*true)
        assert_close(y, want, 1e-12, "y")
        up = torch.linspace(-1, 1, x.numel(), dtype=torch.float64).view(x.shape)
        for a, b in zip(
            torch.autograd.grad(y, mine, up), torch.autograd.grad(want, true, up), strict=True
        ):
            assert_close(a, b, 1e-11, "gradients")
        check_averages(layer, paper)
    x = data((5, 3), seed=8)[0]
    rows = (x - paper.mu) / paper.sigma * layer.weight + layer.bias
    assert_close(layer.eval()(x), rows, 1e-12, "y in inference")
    check_averages(layer, paper)


def check_averages(layer: BatchRenorm, paper: Paper) -> None:
    state = layer.state_dict()
    assert_close(state["running_mean"], paper.mu, 1e-12, "μ")
    assert_close(state["running_var"], paper.sigma**2 - EPS, 1e-12, "σ² − eps")
    if paper.reference is not None:
        assert_close(state["renorm_mean"], paper.reference[0], 1e-12, "renorm_mean")
        assert_close(state["renorm_std"], paper.reference[1], 1e-12, "renorm_std")


@pytest.mark.parametrize(
    ("limits", "low"),
    [
        (RenormLimits(3.0, 5.0), 1 / 3),
        (RenormLimits(1.1, 0.2), 1 / 1.1),
        (RenormLimits(1.5, 0.5, 0.66), 0.66),
        (RenormLimits(inf, inf), 0.0),
        (RenormLimits(1.0, 5.0), 1.0),
        (RenormLimits(3.0, 0.0), 1 / 3),
    ],
    ids=repr,
)
def test_fixed_limits(limits: RenormLimits, low: float) -> None:
    layer = renorm(limits=limits)
    check(layer, Paper(layer, (low, limits.r_max, limits.d_max)))


def test_averages_of_its_own_for_the_correction() -> None:
    layer = renorm(limits=RenormLimits(3.0, 5.0), renorm_momentum=0.4)
    check(layer, Paper(layer, rates=(0.1, 0.4)))


MUTANTS: dict[str, tuple[RenormLimits, tuple[float, float, float], float]] = {
    "wider r": (RenormLimits(3.0, 5.0), (1 / 3, 2.0, 5.0), 0.1),
    "r_min": (RenormLimits(1.1, 5.0), (0.5, 1.1, 5.0), 0.1),
    "narrower d": (RenormLimits(3.0, 5.0), (1 / 3, 3.0, 0.1), 0.1),
    "flipped momentum": (RenormLimits(3.0, 5.0), (1 / 3, 3.0, 5.0), 0.9),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_check_sees(mutant: str) -> None:
    limits, other, rate = MUTANTS[mutant]
    layer = renorm(limits=limits)
    with pytest.raises(AssertionError):
        check(layer, Paper(layer, other, (rate, None)))


def test_the_check_sees_a_gradient_through_the_correction() -> None:
    layer = renorm(limits=RenormLimits(3.0, 5.0))
    with pytest.raises(AssertionError, match="gradients"):
        check(layer, Paper(layer, through=True))


def test_limits_of_one_and_zero_are_batch_norm() -> None:
    layer, plain = renorm(limits=RenormLimits(1.0, 0.0)), BatchNorm1d(3, EPS, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    for x in data((7, 3)):
        mine, true = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, want = layer(mine), plain(true)
        assert_close(y, want, 1e-14, "y")
        up = torch.linspace(-1, 1, x.numel(), dtype=torch.float64).view(x.shape)
        got = torch.autograd.grad(y, mine, up)[0]
        assert_close(got, torch.autograd.grad(want, true, up)[0], 1e-13, "dx")
        assert_close(layer.running_mean, plain.running_mean, 1e-14, "mean")  # type: ignore[arg-type]


def test_without_limits_training_is_inference_with_the_old_statistics() -> None:
    layer = renorm(limits=RenormLimits(inf, inf))
    for x in data((7, 3)):
        want = layer.eval()(x)
        assert_close(layer.train()(x), want, 1e-12, "y")


@pytest.mark.parametrize(
    ("batches", "r_max", "d_max"),
    [
        (0, 1.0, 0.0),
        (10, 1.0, 0.0),
        (15, 1.5, 2.5),
        (20, 2.0, 5.0),
        (25, 2.5, 5.0),
        (30, 3.0, 5.0),
        (10**7, 3.0, 5.0),
    ],
)
def test_the_schedule(batches: int, r_max: float, d_max: float) -> None:
    low, high, shift = SCHEDULE.at(torch.tensor(batches))
    assert [float(v) for v in (low, high, shift)] == pytest.approx([1 / r_max, r_max, d_max])
    layer = renorm(limits=SCHEDULE)
    assert layer.num_batches_tracked is not None
    layer.num_batches_tracked.fill_(batches)
    x, paper = data((7, 3))[0] * 9, Paper(layer, (1 / r_max, r_max, d_max))
    assert_close(layer(x), paper(x, layer.weight, layer.bias), 1e-12, "y")


def test_the_papers_schedule_is_the_default() -> None:
    assert BatchRenorm(3).limits == RenormSchedule(5_000, 3.0, 40_000, 5.0, 25_000)
    assert BatchRenorm(3).momentum == 0.01


def test_a_schedule_counts_batches_and_reset_starts_it_over() -> None:
    layer = renorm(limits=RenormSchedule(1, 3.0, 2, 5.0, 2))
    batches = data((7, 3))
    for _ in range(2):
        for x, limits in zip(
            batches, ((1.0, 1.0, 0.0), (1.0, 1.0, 0.0), (1 / 3, 3.0, 5.0)), strict=True
        ):
            paper = Paper(layer, limits)
            assert_close(layer(x), paper(x, layer.weight, layer.bias), 1e-12, "y")
        layer.reset_running_stats()


def test_reset_also_resets_the_second_pair() -> None:
    layer = renorm(renorm_momentum=0.3)
    layer(data((7, 3))[0])
    layer.reset_running_stats()
    fresh = BatchRenorm(3, renorm_momentum=0.3, dtype=torch.float64).state_dict()
    for name in ("running_mean", "running_var", "renorm_mean", "renorm_std", "num_batches_tracked"):
        assert torch.equal(layer.state_dict()[name], fresh[name])


def test_a_batch_that_is_not_finite_moves_no_average() -> None:
    layer = renorm(limits=RenormLimits(3.0, 5.0), renorm_momentum=0.3)
    first, second, _ = data((7, 3))
    layer(first)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    second[0, 0] = inf
    with pytest.warns(NonFiniteBatch, match="BatchRenorm"):
        layer(second)
    assert all(torch.equal(t, before[name]) for name, t in layer.state_dict().items())


def test_switching_tracking_off_corrects_but_moves_nothing() -> None:
    layer, other = renorm(limits=RenormLimits(3.0, 5.0)), renorm(limits=RenormLimits(3.0, 5.0))
    x = data((7, 3))[0]
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    layer.track_running_stats = False
    assert torch.equal(layer(x), other(x))
    assert all(torch.equal(t, before[name]) for name, t in layer.state_dict().items())


def test_statistics_taken_away_are_named() -> None:
    layer = torch.func.replace_all_batch_norm_modules_(BatchRenorm(3))
    with pytest.raises(NoStatistics, match="BatchRenorm normalizes by its running statistics"):
        layer(torch.randn(7, 3))


@pytest.mark.parametrize(
    "make",
    [
        lambda: RenormLimits(0.9, 1.0),
        lambda: RenormLimits(1.5, -1.0),
        lambda: RenormLimits(1.5, 1.0, 1.1),
        lambda: RenormSchedule(start=30_000),
        lambda: RenormSchedule(r_max=0.5),
        lambda: BatchRenorm(3, running=ZeroDebiasedEma(0.1)),
        lambda: BatchRenorm(3, running=Population()),
        lambda: BatchRenorm(3, running_var="unbiased"),
        lambda: BatchRenorm(3, track_running_stats=False),
        lambda: BatchRenorm(3, renorm_momentum=1.5),
    ],
)
def test_bad_options(make: Any) -> None:
    with pytest.raises(BadOption):
        make()
