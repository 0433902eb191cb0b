"""Laws that hold whatever the numbers: splitting, shifting, scaling, permuting, other layouts."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evenkeel import functional as ek
from evenkeel.functional.statistics import Moments
from evenkeel.views import statistics_dtype
from oracles import budgets
from oracles.compare import assert_close
from oracles.definitions import Given, step
from oracles.mutants import MUTANTS
from oracles.strategies import DISTANCES, LAYOUTS, Case, cases, values

EPS = 1e-3
EXACT = (torch.float64,)


def normalized(x: Tensor, channel_axis: int | tuple[int, ...] = 1, eps: float = EPS) -> Tensor:
    return ek.fused_batch_norm(x, None, None, eps=eps, channel_axis=channel_axis)[0]


@given(
    cuts=st.lists(st.integers(0, 24), max_size=6),
    distance=st.sampled_from(DISTANCES),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**16),
)
def test_a_split_batch_merges_to_the_whole(
    cuts: list[int], distance: float, dtype: torch.dtype, seed: int
) -> None:
    """Any partition, empty parts among them: Chan, Golub & LeVeque 1983."""
    x = values((24, 3), distance, seed).to(dtype)
    edges = [0, *sorted(cuts), 24]
    parts = [
        ek.moments(x[a:b], 0) if b > a else Moments(x.new_full((3,), torch.nan), x[0], 0)
        for a, b in pairwise(edges)
    ]
    merged, whole = ek.merge_moments(*parts), ek.moments(x, 0)
    assert merged.count == whole.count == 24
    unit = 4 * budgets.UNIT[dtype]
    assert_close(merged.mean, whole.mean, unit, "mean", scale=float(x.abs().max()))
    # Relative, per channel: the docstring's bound, and 1e-5 of the whole's own.
    apart = (merged.var.double() / whole.var.double() - 1).abs()
    kappa = distance / whole.var.double().sqrt()
    assert (apart <= unit * (kappa + 24)).all()


@given(case=cases(dtypes=EXACT), seed=st.integers(0, 99))
def test_merging_does_not_depend_on_the_order(case: Case, seed: int) -> None:
    parts = [ek.moments(row[None], (0, 1)) for row in case.x.flatten(1)[:, None]]
    order = torch.randperm(len(parts), generator=torch.Generator().manual_seed(seed)).tolist()
    one, other = ek.merge_moments(*parts), ek.merge_moments(*(parts[i] for i in order))
    assert one.count == other.count
    assert_close(one.mean, other.mean, 1e-14, "mean")
    assert_close(one.var, other.var, 1e-10, "var", scale=float(one.var.max()) + 1e-6)


@given(case=cases(dtypes=EXACT, distances=(0.0, 1.0)), shift=st.sampled_from([-7.0, 0.5, 300.0]))
def test_a_shift_moves_the_mean_alone(case: Case, shift: float) -> None:
    y, mean, var = ek.fused_batch_norm(case.x, None, None, eps=EPS, channel_axis=case.channel_axis)
    moved, mean2, var2 = ek.fused_batch_norm(
        case.x + shift, None, None, eps=EPS, channel_axis=case.channel_axis
    )
    assert_close(moved, y, 1e-10, "y", scale=1.0)
    assert_close(mean2, mean + shift, 1e-13, "mean", scale=abs(shift) + 1)
    assert_close(var2, var, 1e-10, "var", scale=1.0)


@given(case=cases(dtypes=EXACT, distances=(0.0, 1.0)), scale=st.sampled_from([-3.0, 0.25, 100.0]))
def test_a_scale_of_input_and_eps_is_a_sign(case: Case, scale: float) -> None:
    y = normalized(case.x, case.channel_axis)
    scaled = normalized(case.x * scale, case.channel_axis, EPS * scale**2)
    assert_close(scaled, y if scale > 0 else -y, 1e-10, "y", scale=1.0)


@given(case=cases(dtypes=EXACT), seed=st.integers(0, 99))
def test_permuting_the_batch_permutes_the_result(case: Case, seed: int) -> None:
    axis = 1 if case.layout == "axis0" else 0
    size = case.x.shape[axis]
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    y = normalized(case.x, case.channel_axis)
    other = normalized(case.x.index_select(axis, order), case.channel_axis)
    assert_close(other, y.index_select(axis, order), 1e-9, "y", scale=1.0)


@given(case=cases(dtypes=EXACT, layouts=("nchw",)), seed=st.integers(0, 99))
def test_permuting_channels_with_their_parameters_permutes_the_result(
    case: Case, seed: int
) -> None:
    channels = case.x.shape[1]
    order = torch.randperm(channels, generator=torch.Generator().manual_seed(seed))
    weight, bias = case.normal(channels, salt=2), case.normal(channels, salt=3)
    y, *_ = ek.fused_batch_norm(case.x, weight, bias)
    other, *_ = ek.fused_batch_norm(case.x[:, order], weight[order], bias[order])
    assert_close(other, y[:, order], 1e-9, "y", scale=1.0)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "tuple"])
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str
)
@pytest.mark.parametrize("distance", DISTANCES)
def test_every_layout_gives_the_same(layout: str, dtype: torch.dtype, distance: float) -> None:
    base = values((3, 4, 5, 2), distance, 0).to(dtype)
    weight, bias = values((4,), 0.0, 1).to(dtype), values((4,), 0.0, 2).to(dtype)
    x, axis = LAYOUTS[layout](base)
    y, mean, var = ek.fused_batch_norm(x, weight, bias, eps=EPS, channel_axis=axis)
    want, want_mean, want_var = ek.fused_batch_norm(base, weight, bias, eps=EPS)
    budget = budgets.of(base, base, weight, bias, EPS, 1)
    assert_close(y, LAYOUTS[layout](want)[0], 2 * budget.y, "y", scale=1.0)
    assert_close(mean, want_mean, 4e-7, "mean", scale=distance + 1)
    assert_close(var, want_var, 2e-5, "var")
    assert mean.dtype == statistics_dtype(x)


@given(case=cases(dtypes=(torch.float32, torch.float64)))
def test_gradients_are_orthogonal_to_what_normalization_removes(case: Case) -> None:
    """y does not change when x is shifted, nor (but for eps) when it is scaled: Σ dx = 0, and
    Σ dx·x̂ = eps/(var + eps) · rstd · Σ dy·x̂."""
    x = case.x.clone().requires_grad_()
    dy = case.normal(*case.x.shape, salt=2)
    y, _, _ = ek.fused_batch_norm(x, None, None, eps=EPS, channel_axis=case.channel_axis)
    (dx,) = torch.autograd.grad(y, x, dy)
    axes = (case.channel_axis,) if isinstance(case.channel_axis, int) else case.channel_axis
    rest = tuple(a for a in range(x.ndim) if a not in {b % x.ndim for b in axes})
    wide = case.x.double()
    mean = wide.mean(rest, keepdim=True)
    var = (wide - mean).square().mean(rest, keepdim=True)
    rstd = (var + EPS).rsqrt()
    budget = budgets.of(case.x, dy, None, None, EPS, case.channel_axis).dx * case.count
    total = dx.double().sum(rest, keepdim=True)
    assert float(total.abs().max()) <= budget
    unit = (wide - mean) * rstd
    against = (dx.double() * unit).sum(rest, keepdim=True)
    want = EPS / (var + EPS) * rstd * (dy.double() * unit).sum(rest, keepdim=True)
    assert float((against - want).abs().max()) <= budget * (1 + float(unit.abs().max()))


@given(case=cases(dtypes=EXACT, distances=(0.0, 1.0)))
def test_the_output_has_mean_zero_and_variance_below_one(case: Case) -> None:
    y = normalized(case.x, case.channel_axis)
    axes = (case.channel_axis,) if isinstance(case.channel_axis, int) else case.channel_axis
    rest = tuple(a for a in range(y.ndim) if a not in {b % y.ndim for b in axes})
    before, after = ek.moments(case.x, rest), ek.moments(y, rest)
    assert_close(after.mean, torch.zeros_like(after.mean), 1e-10, "mean", scale=1.0)
    assert_close(after.var, before.var / (before.var + EPS), 1e-10, "var", scale=1.0)


@given(case=cases(dtypes=EXACT))
def test_inference_with_the_batchs_statistics_is_training(case: Case) -> None:
    axes = (case.channel_axis,) if isinstance(case.channel_axis, int) else case.channel_axis
    rest = tuple(a for a in range(case.x.ndim) if a not in {b % case.x.ndim for b in axes})
    stats = ek.moments(case.x, rest, keepdims=True)
    y = normalized(case.x, case.channel_axis)
    other = ek.batch_normalization(case.x, stats.mean, stats.var, None, None, EPS)
    assert_close(other, y, 1e-9, "y", scale=1.0)
    sizes = case.channels
    given_ones, *_ = ek.fused_batch_norm(
        case.x,
        None,
        None,
        stats.mean.reshape(sizes),
        stats.var.reshape(sizes),
        training=False,
        eps=EPS,
        channel_axis=case.channel_axis,
    )
    assert_close(given_ones, y, 1e-9, "y", scale=1.0)


def test_averaging_parts_of_unequal_size_breaks_the_law_of_merging() -> None:
    """What a synchronized layer does that averages its workers' means and variances."""
    x = values((24, 3), 1.0, 0)
    parts, whole = (ek.moments(x[:4], 0), ek.moments(x[4:], 0)), ek.moments(x, 0)
    mean = (parts[0].mean + parts[1].mean) / 2
    var = (parts[0].var + parts[1].var) / 2
    for got, want in ((mean, whole.mean), (var, whole.var)):
        with pytest.raises(AssertionError, match="error"):
            assert_close(got, want, 1e-3, "merged")


@pytest.mark.parametrize("name", ["statistics_without_gradient", "variance_without_gradient"])
def test_a_faulty_gradient_breaks_orthogonality(name: str) -> None:
    x, dy = values((4, 3, 2, 2), 0.0, 0), values((4, 3, 2, 2), 0.0, 1)
    vectors = [values((3,), 1.0, seed).abs() for seed in (2, 3, 4, 5)]
    case = Given(x, vectors[0], vectors[1], dy, vectors[2], vectors[3], 0.1, EPS)
    dx, right = MUTANTS[name][1](case).dx, step(case).dx
    shifted, scaled = (float((dx * v).sum((0, 2, 3)).abs().max()) for v in (torch.ones(()), x))
    assert max(shifted, scaled) > 0.1
    assert float(right.sum((0, 2, 3)).abs().max()) < 1e-12
