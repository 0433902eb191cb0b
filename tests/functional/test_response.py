"""Local response normalization and L2 normalization: closed forms, torch's LRN, the named errors."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from evenkeel import functional as ek
from evenkeel.errors import BadAxis, BadDtype, BadOption, EvenkeelError
from oracles.budgets import UNIT
from oracles.compare import assert_close
from oracles.strategies import DTYPES, values


def by_loop(x: Tensor, radius: int, bias: float, alpha: float, beta: float) -> Tensor:
    """Krizhevsky et al. 2012, section 3.3, channel by channel; channels on axis 1."""
    x = x.double()
    parts = []
    for c in range(x.shape[1]):
        near = x[:, max(0, c - radius) : c + radius + 1]
        parts.append(x[:, c] / (bias + alpha * (near**2).sum(1)) ** beta)
    return torch.stack(parts, 1)


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3)),
    radius=st.integers(0, 12),
    bias=st.sampled_from([0.5, 1.0, 2.0]),
    alpha=st.sampled_from([0.0, 1e-4, 1.0]),
    beta=st.sampled_from([0.0, 0.5, 0.75, 1.0]),
    dtype=st.sampled_from(DTYPES),
    axis=st.integers(-4, 3),
)
def test_lrn_is_its_definition(
    shape: tuple[int, int, int, int],
    radius: int,
    bias: float,
    alpha: float,
    beta: float,
    dtype: torch.dtype,
    axis: int,
) -> None:
    x = values(shape, 1.0, radius).to(dtype)
    y = ek.local_response_normalization(
        x.movedim(1, axis),
        depth_radius=radius,
        bias=bias,
        alpha=alpha,
        beta=beta,
        channel_axis=axis,
    )
    inner = 64 * (UNIT[torch.float64] if dtype == torch.float64 else UNIT[torch.float32])
    want = by_loop(x, radius, bias, alpha, beta).movedim(1, axis)
    assert_close(y, want, inner + UNIT[dtype], "y", dtype=dtype)


@pytest.mark.parametrize("radius", [0, 1, 2, 5])
@pytest.mark.parametrize("shape", [(2, 7), (2, 7, 3), (2, 7, 3, 4), (2, 7, 2, 2, 2)])
def test_lrn_is_torchs_with_alpha_times_the_windows_size(
    radius: int, shape: tuple[int, ...]
) -> None:
    x, size = values(shape, 0.0, 0), 2 * radius + 1
    y = ek.local_response_normalization(x, depth_radius=radius, bias=2.0, alpha=0.1, beta=0.75)
    if len(shape) > 2:  # torch takes no [N, C]
        want = F.local_response_norm(x, size, alpha=0.1 * size, beta=0.75, k=2.0)
        assert_close(y, want, 1e-14, "y")
    assert_close(y, by_loop(x, radius, 2.0, 0.1, 0.75), 1e-14, "y")


def test_lrn_with_torchs_alpha_would_be_seen() -> None:
    x = values((2, 7, 3, 3), 0.0, 0)
    y = ek.local_response_normalization(x, depth_radius=2, alpha=0.1)
    with pytest.raises(AssertionError, match="y: error"):
        assert_close(y, by_loop(x, 2, 1.0, 0.1 / 5, 0.5), 1e-5, "y")
    with pytest.raises(AssertionError, match="y: error"):
        wrong = ek.local_response_normalization(x, depth_radius=2, alpha=0.1, channel_axis=2)
        assert_close(wrong, y, 1e-5, "y")


def test_lrn_of_a_vector_and_of_nothing() -> None:
    y = ek.local_response_normalization(torch.tensor([3.0, 4.0]), bias=0.0, channel_axis=0)
    assert_close(y, torch.tensor([0.6, 0.8]), 1e-6, "y")
    assert ek.local_response_normalization(torch.zeros(0, 3)).shape == (0, 3)


def test_half_precision_is_squared_in_float32() -> None:
    x = torch.full((1, 3), 1000.0, dtype=torch.float16)  # its square is beyond float16
    y = ek.local_response_normalization(x, bias=1.0, alpha=1.0, beta=0.5)
    assert_close(y, torch.full((1, 3), 3**-0.5).half(), 1e-3, "y")
    assert_close(ek.l2_normalize(x, 1), torch.full((1, 3), 3**-0.5).half(), 1e-3, "y")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("axis", [0, -1, (0, 2), (0, 1, 2)])
def test_l2_normalize(dtype: torch.dtype, axis: int | tuple[int, ...]) -> None:
    x = values((3, 4, 5), 1.0, 0).to(dtype)
    wide = x.double()
    want = wide / wide.pow(2).sum(axis, keepdim=True).sqrt()
    y = ek.l2_normalize(x, axis)
    assert_close(
        y, want, 8 * UNIT[dtype] if dtype == torch.float64 else UNIT[dtype] + 1e-6, "y", dtype=dtype
    )


def test_short_vectors_are_divided_by_the_root_of_eps() -> None:
    x = torch.tensor([3e-7, 4e-7])
    assert_close(ek.l2_normalize(x, 0), x / 1e-6, 1e-6, "y")
    assert ek.l2_normalize(torch.zeros(3), 0).tolist() == [0.0, 0.0, 0.0]
    assert_close(ek.l2_normalize(x, 0, eps=0.25), x * 2, 1e-6, "y")


X = torch.randn(2, 3, 4)
BAD: dict[str, tuple[Callable[[], object], type[EvenkeelError], tuple[str, ...]]] = {
    "lrn of integers": (lambda: ek.local_response_normalization(X.int()), BadDtype, ("int32",)),
    "lrn without such an axis": (
        lambda: ek.local_response_normalization(X, channel_axis=3),
        BadAxis,
        ("rank 3",),
    ),
    "lrn over two axes": (
        lambda: ek.local_response_normalization(X, channel_axis=(0, 1)),  # type: ignore[arg-type]
        BadAxis,
        ("one axis", "(0, 1)"),
    ),
    "negative radius": (
        lambda: ek.local_response_normalization(X, depth_radius=-1),
        BadOption,
        ("each side", "got: -1", "0 or more"),
    ),
    "l2 of integers": (lambda: ek.l2_normalize(X.int(), 0), BadDtype, ()),
    "l2 over no axis": (lambda: ek.l2_normalize(X, ()), BadAxis, ()),
    "l2 with negative eps": (lambda: ek.l2_normalize(X, 0, eps=-1.0), BadOption, ("eps", "-1.0")),
    "l2 with nan eps": (lambda: ek.l2_normalize(X, 0, eps=math.nan), BadOption, ("nan",)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, kind, words = BAD[name]
    with pytest.raises(kind) as caught:
        call()
    for part in (*words, "\n  got: ", "\n  do:  "):
        assert part in str(caught.value)
