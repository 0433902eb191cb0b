"""Every row of every kernel table, on every kind of input: right within its budget, or refused.

The reference rows are judged by tests/oracles/definitions.py, everything else too: no row is judged
by another row.
"""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evenkeel.errors import NoKernel
from evenkeel.functional import fused_batch_norm, moments
from evenkeel.kernels import KERNELS, Call, Kernel, use_kernel
from evenkeel.views import axes_of, rows_of, statistics_dtype
from oracles import budgets, definitions
from oracles.available import available
from oracles.compare import assert_close
from oracles.strategies import Case, cases

ROWS = [(op, k) for op, rows in KERNELS.items() for k in rows if k.name in available(op)]
every_row = pytest.mark.parametrize(("op", "kernel"), ROWS, ids=[f"{o}-{k.name}" for o, k in ROWS])
EPS = 1e-3


def row_of(case: Case) -> Tensor:
    """The case as kernels see it: [N, C, *]."""
    return rows_of(case.x, axes_of(case.channel_axis, case.x.ndim)).of(case.x)


def check_moments(kernel: Kernel, case: Case) -> None:
    x = row_of(case)
    over = tuple(a for a in range(x.ndim) if a != 1)
    mean, var = kernel.run(x, over)
    check_statistics(x, mean.flatten(), var.flatten())


def check_statistics(x: Tensor, mean: Tensor, var: Tensor) -> None:
    dtype, u = statistics_dtype(x), budgets.unit(x.dtype)  # of the mean; the variance has its own
    want_mean, want_var = definitions.moments(definitions.channels_last(x, 1))
    size = float(x.double().abs().max())
    assert_close(mean, want_mean, u * size, "mean", dtype=dtype, scale=1.0)
    # Per channel, as the docstring says; a constant channel's variance is a rounding error squared.
    floor = (u * size) ** 2
    excess = (var.double() - want_var).abs() - variance_bound(x.dtype) * want_var
    assert float(excess.max()) <= floor, f"variance off by {float(excess.max())}"


def variance_bound(dtype: torch.dtype) -> float:
    """Relative: what the docstring of ``moments`` says for f32; in f64, the same in its own units."""
    return 1e-5 * 2.0**-29 if dtype == torch.float64 else 1e-5


def check_normalize(kernel: Kernel, case: Case) -> None:
    x, C = row_of(case), row_of(case).shape[1]
    dtype, mean, var, weight, bias = vectors(case, C)
    y = kernel.run(x, mean, var, weight, bias, EPS)
    want = definitions.batch_norm(x, weight, bias, EPS, 1, (mean, var))
    shape = [1, -1] + [1] * (x.ndim - 2)
    scale = (weight.abs() / (var + EPS).sqrt()).view(shape).double()
    size = scale * (x.double().abs() + mean.abs().view(shape)) + bias.abs().view(shape)
    unit = budgets.unit(x.dtype) + 2 * budgets.UNIT[x.dtype]
    assert_close(y, want, unit * float(size.max()), "y", dtype=x.dtype, scale=1.0)
    assert dtype == statistics_dtype(x)


def vectors(case: Case, C: int) -> tuple[torch.dtype, Tensor, Tensor, Tensor, Tensor]:
    dtype = statistics_dtype(case.x)
    mean, var = case.normal(C, dtype=dtype) + case.distance, case.normal(C, salt=2, dtype=dtype)
    weight, bias = case.normal(C, salt=3, dtype=dtype), case.normal(C, salt=4, dtype=dtype)
    return dtype, mean, var.square() + 0.1, weight, bias


def check_train(kernel: Kernel, case: Case) -> None:
    x = row_of(case)
    _, _, _, weight, bias = vectors(case, x.shape[1])
    y, mean, var = kernel.run(x, weight, bias, EPS)
    check_statistics(x, mean, var)
    budget = budgets.of(x, x, weight, bias, EPS, 1)
    want = definitions.batch_norm(x, weight, bias, EPS)
    assert_close(y, want, budget.y, "y", dtype=x.dtype, scale=1.0)


def check_backward(kernel: Kernel, case: Case) -> None:
    x = row_of(case)
    dtype, _, _, weight, bias = vectors(case, x.shape[1])
    dy = case.normal(*x.shape, salt=5)
    mean, var = definitions.moments(definitions.channels_last(x, 1))
    rstd = (var + EPS).rsqrt()
    got = kernel.run(dy, x, weight, mean.to(dtype), rstd.to(dtype), EPS)
    leaves = [v.detach().double().requires_grad_() for v in (x, weight, bias)]
    want = torch.autograd.grad(
        definitions.batch_norm(leaves[0], leaves[1], leaves[2], EPS), leaves, dy.double()
    )
    budget = budgets.of(x, dy, weight, bias, EPS, 1)
    names = ("dx", "dweight", "dbias")
    for name, mine, true, kind in zip(names, got, want, (x.dtype, dtype, dtype), strict=True):
        assert_close(mine, true, getattr(budget, name), name, dtype=kind, scale=1.0)


CHECKS: dict[str, Callable[[Kernel, Case], None]] = {
    "moments": check_moments,
    "normalize": check_normalize,
    "train": check_train,
    "backward": check_backward,
}


def test_every_operation_has_a_check() -> None:
    assert set(CHECKS) == set(KERNELS)


@every_row
@given(case=cases())
def test_a_row_is_right_within_its_budget_or_refuses(op: str, kernel: Kernel, case: Case) -> None:
    if kernel.refuses(Call.of(row_of(case))):
        return
    CHECKS[op](kernel, case)


@every_row
def test_a_row_runs_some_call(op: str, kernel: Kernel) -> None:
    """A row that refused everything would pass the test above without running once."""
    del op
    assert not kernel.refuses(Call.of(torch.zeros(2, 3, 4, 4)))


@every_row
@given(case=cases())
def test_a_refusal_is_a_reason(op: str, kernel: Kernel, case: Case) -> None:
    del op
    reason = kernel.refuses(Call.of(row_of(case)))
    assert reason == "" or len(reason.split()) >= 3


@pytest.mark.parametrize("op", KERNELS)
def test_every_operation_has_one_reference_that_runs_on_request_only(op: str) -> None:
    rows = KERNELS[op]
    assert [k.name for k in rows if k.on_request] == ["reference"]
    assert len({k.name for k in rows}) == len(rows)


@pytest.mark.parametrize("op", KERNELS)
@given(case=cases())
def test_every_call_has_a_row_that_runs_it(op: str, case: Case) -> None:
    call = Call.of(row_of(case))
    assert any(not k.on_request and not k.refuses(call) for k in KERNELS[op])


@every_row
def test_nan_in_one_channel_stays_there(op: str, kernel: Kernel) -> None:
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    x[1, 2, 3, 3] = torch.nan
    ones = torch.ones(3)
    arguments: dict[str, tuple[object, ...]] = {}
    arguments["moments"] = (x, (0, 2, 3))
    arguments["normalize"] = (x, ones, ones, ones, ones, EPS)
    arguments["train"] = (x, ones, ones, EPS)
    arguments["backward"] = (x, x, ones, ones, ones, EPS)
    results = kernel.run(*arguments[op])
    for array in results if isinstance(results, tuple) else (results,):
        by_channel = array.flatten() if array.numel() == 3 else array.movedim(1, 0).flatten(1)
        hit = by_channel.isnan().reshape(3, -1).any(1)
        assert hit.tolist() == [False, False, True]


NAMES = available("train")


@pytest.mark.parametrize("name", NAMES)
@given(case=cases(), seed=st.integers(0, 99))
def test_a_forced_row_runs_the_public_functions_or_is_refused(
    name: str, case: Case, seed: int
) -> None:
    (kernel,) = (k for k in KERNELS["train"] if k.name == name)
    sizes, dtype = case.channels, statistics_dtype(case.x)
    weight = torch.randn(sizes, generator=torch.Generator().manual_seed(seed)).to(dtype)
    bias = weight.flip(0)
    budget = budgets.of(case.x, case.x, weight, bias, EPS, case.channel_axis)
    with use_kernel(name):
        try:
            y, mean, var = fused_batch_norm(
                case.x, weight, bias, eps=EPS, channel_axis=case.channel_axis
            )
        except NoKernel as error:
            assert kernel.refuses(Call.of(as_run(case))) in str(error)
            return
        assert not kernel.refuses(Call.of(as_run(case)))
    want = definitions.batch_norm(case.x, weight, bias, EPS, case.channel_axis)
    assert_close(y, want, budget.y, "y", dtype=case.x.dtype, scale=1.0)
    assert mean.shape == var.shape == sizes
    assert mean.dtype == var.dtype == dtype


def as_run(case: Case) -> Tensor:
    """Input with gaps is copied before any kernel sees it."""
    row = row_of(case)
    return row if Call.of(row).view else row.contiguous()


@pytest.mark.parametrize("name", available("moments"))
@given(case=cases())
def test_a_forced_row_runs_moments(name: str, case: Case) -> None:
    axes = (case.channel_axis,) if isinstance(case.channel_axis, int) else case.channel_axis
    kept = {a % case.x.ndim for a in axes}
    over = tuple(a for a in range(case.x.ndim) if a not in kept)
    (kernel,) = (k for k in KERNELS["moments"] if k.name == name)
    with use_kernel(name):
        try:
            got = moments(case.x, over)
        except NoKernel as error:
            assert kernel.refuses(Call.of(case.x, tuple(sorted(kept)))) in str(error)
            return
    want_mean, want_var = definitions.moments(definitions.channels_last(case.x, case.channel_axis))
    assert got.count == case.count
    assert got.mean.shape == got.var.shape == case.channels
    size, u = float(case.x.double().abs().max()), budgets.unit(case.x.dtype)
    assert_close(got.mean.flatten().double(), want_mean, u * size, "mean", scale=1.0)
    bound = variance_bound(case.x.dtype)
    excess = (got.var.flatten().double() - want_var).abs() - bound * want_var
    assert float(excess.max()) <= (u * size) ** 2
