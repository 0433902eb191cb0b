"""Moments, weighted moments, merged moments: closed forms, definitions, and the named errors."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evenkeel import functional as ek
from evenkeel.errors import BadAxis, BadDtype, BadOption, BadShape, EmptyBatch, EvenkeelError
from evenkeel.functional.statistics import Moments, all_finite, var_unbiased
from oracles.compare import assert_close
from oracles.strategies import DTYPES, values

AXES = [0, -1, (0,), (0, 2), (2, 0), (-1, 1), (0, 1, 2, 3)]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("keepdims", [False, True])
def test_moments_equal_numpys(axes: int | tuple[int, ...], keepdims: bool) -> None:
    x = values((2, 3, 4, 5), 1.0, 0)
    got = ek.moments(x, axes, keepdims=keepdims)
    mean, var = (
        np.mean(x.numpy(), axes, keepdims=keepdims),
        np.var(x.numpy(), axes, keepdims=keepdims),
    )
    assert_close(got.mean, np.asarray(mean), 1e-15, "mean")
    assert_close(got.var, np.asarray(var), 1e-14, "var")
    assert got.count == x.numel() // mean.size if not keepdims else got.count > 1


def test_moments_of_known_values() -> None:
    """0 … n−1 has mean (n−1)/2 and variance (n²−1)/12."""
    n = 1001
    mean, var, count = ek.moments(torch.arange(float(n)), 0)
    assert (mean.item(), count) == (500.0, n)
    assert var.item() == pytest.approx((n * n - 1) / 12, rel=1e-6)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_dtype_of_statistics(dtype: torch.dtype) -> None:
    want = torch.float64 if dtype == torch.float64 else torch.float32
    x = torch.ones(4, 3, dtype=dtype)
    for got in (ek.moments(x, 0), ek.weighted_moments(x, 0, torch.ones(4, 1))):
        assert got.mean.dtype == got.var.dtype == want


@pytest.mark.parametrize("shape", [(1,), (1, 1), (7, 1), (1, 5)])
def test_constants_have_no_variance(shape: tuple[int, ...]) -> None:
    for value in (0.0, 1.0, 1e4, -3.3e7):
        mean, var, _ = ek.moments(torch.full(shape, value), tuple(range(len(shape))))
        assert mean.item() == torch.tensor(value).item()
        assert var.item() == 0.0


def test_half_precision_does_not_overflow() -> None:
    mean, var, _ = ek.moments(torch.full((4, 100), 6e4, dtype=torch.float16), 1)
    assert mean.isfinite().all()
    assert (var == 0).all()
    spread = torch.tensor([-6e4, 6e4], dtype=torch.float16)
    assert ek.moments(spread, 0).var.item() == pytest.approx(3.6e9, rel=1e-3)


# --- weights ----------------------------------------------------------------------------------


@given(
    repeats=st.lists(st.integers(0, 4), min_size=2, max_size=12).filter(any),
    distance=st.sampled_from([0.0, 1.0, 1e2, 1e4]),
)
def test_whole_weights_repeat_values(repeats: list[int], distance: float) -> None:
    x = values((len(repeats), 3), distance, len(repeats))
    weights = torch.tensor(repeats)
    got = ek.weighted_moments(x, 0, weights[:, None])
    want = ek.moments(x.repeat_interleave(weights, 0), 0)
    assert_close(got.mean, want.mean, 1e-13, "mean")
    assert_close(got.var, want.var, 1e-12, "var", scale=float(want.var.max()) + 1e-9)
    assert torch.equal(torch.as_tensor(got.count), torch.full((3,), float(sum(repeats))).double())


@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf, 3e38])
def test_a_masked_value_may_be_anything(garbage: float) -> None:
    x = values((6, 2), 1.0, 0).float().requires_grad_()
    mask = torch.tensor([True, True, False, True, False, True])[:, None]
    spoiled = torch.where(mask, x, garbage)
    got, want = ek.weighted_moments(spoiled, 0, mask), ek.moments(x[mask[:, 0]], 0)
    assert_close(got.mean, want.mean, 1e-6, "mean")
    assert_close(got.var, want.var, 1e-6, "var")
    (dx,) = torch.autograd.grad(got.mean.sum() + got.var.sum(), x)
    assert dx.isfinite().all()
    assert (dx[2] == 0).all()


def test_equal_weights_change_nothing_but_the_count() -> None:
    x = values((5, 4), 1.0, 0)
    plain, got = ek.moments(x, 0), ek.weighted_moments(x, 0, torch.full((1,), 2.5))
    assert_close(got.mean, plain.mean, 1e-15, "mean")
    assert_close(got.var, plain.var, 1e-14, "var")
    assert torch.as_tensor(got.count).tolist() == [12.5] * 4


@pytest.mark.parametrize("keepdims", [False, True])
def test_shapes_of_weighted_moments(keepdims: bool) -> None:
    x = values((2, 3, 4, 5), 0.0, 0)
    got = ek.weighted_moments(x, (0, 3), torch.ones(4, 1, dtype=torch.int64), keepdims=keepdims)
    shape = (1, 3, 4, 1) if keepdims else (3, 4)
    for part in got:
        assert torch.as_tensor(part).shape == shape


def test_the_gradient_of_a_weight_of_zero_is_none() -> None:
    x = values((3,), 0.0, 0)
    weights = torch.tensor([1.0, 2.0, 0.0], dtype=torch.float64, requires_grad=True)
    got = ek.weighted_moments(x, 0, weights)
    mean, var = got.mean.detach(), got.var.detach()
    real = torch.tensor([1.0, 1.0, 0.0])
    (dmean,) = torch.autograd.grad(got.mean, weights, retain_graph=True)
    assert_close(dmean, real * (x - mean) / 3, 1e-14, "dmean")
    (dvar,) = torch.autograd.grad(got.var, weights)
    assert_close(dvar, real * ((x - mean).square() - var) / 3, 1e-14, "dvar")


def test_values_whose_square_overflows_may_be_masked_too() -> None:
    x = torch.full((4, 1), 1e25)
    got = ek.weighted_moments(x, 0, torch.tensor([[1.0], [1.0], [1.0], [0.0]]))
    assert got.mean.item() == pytest.approx(1e25)
    assert got.var.isfinite().all()


# --- merging ----------------------------------------------------------------------------------


def test_merge_of_known_parts() -> None:
    merged = ek.merge_moments(
        Moments(torch.tensor(1.5), torch.tensor(0.25), 2),
        Moments(torch.tensor(6.0), torch.zeros(()), 1),
    )
    assert merged.count == 3
    assert merged.mean.item() == 3.0
    assert merged.var.item() == pytest.approx(14 / 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_merge_keeps_dtype_and_kind_of_count(dtype: torch.dtype) -> None:
    part = Moments(torch.zeros(2, dtype=dtype), torch.ones(2, dtype=dtype), 3)
    whole = ek.merge_moments(part, part)
    assert whole.mean.dtype == whole.var.dtype == dtype
    assert whole.count == 6
    mixed = ek.merge_moments(part, part._replace(count=torch.tensor([1, 3])))
    assert torch.equal(torch.as_tensor(mixed.count), torch.tensor([4, 6], dtype=dtype))


def test_an_empty_part_brings_nothing_even_if_it_is_nan() -> None:
    part = Moments(torch.tensor([1.0]), torch.tensor([2.0]), 4)
    empty = Moments(torch.tensor([math.nan]), torch.tensor([math.nan]), 0)
    assert ek.merge_moments(empty, part, empty) == part


def test_merge_is_the_identity_for_one_part() -> None:
    part = ek.moments(values((5, 3), 1e4, 0), 0)
    merged = ek.merge_moments(part)
    assert torch.equal(merged.mean, part.mean)
    assert_close(merged.var, part.var, 1e-15, "var")


# --- the corrected variance, and finiteness ----------------------------------------------------


def test_unbiased_variance() -> None:
    ones = torch.ones(3)
    assert var_unbiased(Moments(ones, ones, 5)).tolist() == [1.25] * 3
    assert var_unbiased(Moments(ones, ones, 1)).tolist() == [1.0] * 3
    counts = torch.tensor([5.0, 1.0, 0.5])
    assert var_unbiased(Moments(ones, ones, counts)).tolist() == [1.25, 1.0, 1.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("which", ["mean", "var"])
def test_all_finite(bad: float, which: str) -> None:
    stats = Moments(torch.full((3,), 3e38), torch.full((3,), 3e38), 2)
    assert bool(all_finite(stats))
    assert not bool(all_finite(stats._replace(**{which: torch.tensor([1.0, bad, 1.0])})))


# --- bad input --------------------------------------------------------------------------------

X = torch.randn(4, 3, 2)
PART = Moments(torch.zeros(3), torch.ones(3), 2)
BAD: dict[str, tuple[Callable[[], object], type[EvenkeelError], tuple[str, ...]]] = {
    "integers": (lambda: ek.moments(X.long(), 0), BadDtype, ("int64", "x.float()")),
    "a list": (lambda: ek.moments([1.0], 0), BadDtype, ("list",)),  # type: ignore[arg-type]
    "no such axis": (lambda: ek.moments(X, 3), BadAxis, ("axes 3", "from -3 to 2")),
    "axis below": (lambda: ek.moments(X, (0, -4)), BadAxis, ("(0, -4)",)),
    "an axis twice": (lambda: ek.moments(X, (0, -3)), BadAxis, ("each once",)),
    "no axis": (lambda: ek.moments(X, ()), BadAxis, ("at least one",)),
    "half an axis": (lambda: ek.moments(X, 0.5), BadAxis, ("0.5",)),  # type: ignore[arg-type]
    "a named axis": (lambda: ek.moments(X, "N"), BadAxis, ("N",)),  # type: ignore[arg-type]
    "a scalar": (lambda: ek.moments(torch.tensor(1.0), 0), BadAxis, ("rank 0",)),
    "nothing": (lambda: ek.moments(X[:0], 0), EmptyBatch, ("[0, 3, 2]", "loader")),
    "weighted integers": (lambda: ek.weighted_moments(X.int(), 0, X), BadDtype, ()),
    "weighted nothing": (lambda: ek.weighted_moments(X[:0], 0, X[:0]), EmptyBatch, ()),
    "weights that do not fit": (
        lambda: ek.weighted_moments(X, 0, torch.ones(4)),
        BadShape,
        ("weights must broadcast", "[4]", "from the last axis"),
    ),
    "weights of too many axes": (
        lambda: ek.weighted_moments(X, 0, torch.ones(1, 4, 3, 2)),
        BadShape,
        ("weights",),
    ),
    "negative weight": (
        lambda: ek.weighted_moments(X, 0, torch.tensor([1.0, -0.5])),
        BadOption,
        ("0 or positive", "from -0.5 to 1", "mask"),
    ),
    "nan weight": (
        lambda: ek.weighted_moments(X, 0, torch.tensor([1.0, math.nan])),
        BadOption,
        ("nan",),
    ),
    "infinite weight": (
        lambda: ek.weighted_moments(X, 0, torch.tensor(math.inf)),
        BadOption,
        ("inf",),
    ),
    "all weights zero": (
        lambda: ek.weighted_moments(X, 0, torch.zeros(2)),
        EmptyBatch,
        ("weight 0", "[2]", "axes [0]", "mask"),
    ),
    "all weights of one mean zero": (
        lambda: ek.weighted_moments(X, 0, torch.tensor([1, 0])),
        EmptyBatch,
        ("weight 0",),
    ),
    "no part": (lambda: ek.merge_moments(), BadOption, ("nothing to merge",)),
    "parts of two shapes": (
        lambda: ek.merge_moments(PART, PART._replace(mean=torch.zeros(1))),
        BadShape,
        ("[3]", "[1]", "same axes"),
    ),
    "empty parts": (
        lambda: ek.merge_moments(PART._replace(count=0), PART._replace(count=0)),
        EmptyBatch,
        ("every part is empty", "[0, 0]"),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, kind, words = BAD[name]
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    for part in (*words, "\n  got: ", "\n  do:  "):
        assert part in str(caught.value)


def test_axes_may_be_a_list() -> None:
    x: Tensor = X
    got = ek.moments(x, [0, 1])  # type: ignore[arg-type]  # numpy's users write lists
    assert torch.equal(got.mean, ek.moments(x, (0, 1)).mean)
