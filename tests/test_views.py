"""What a tensor is to a kernel: its memory, its axes, its rows; and every check by name."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evenkeel import views
from evenkeel.errors import BadAxis, BadDtype, BadOption, BadShape, EmptyBatch, EvenkeelError
from evenkeel.views import View, axes_of, other_axes, rows_of, view_of
from oracles.definitions import channels_last
from oracles.strategies import LAYOUTS, Case, cases

# --- memory -------------------------------------------------------------------------------------


def numbered(*shape: int) -> Tensor:
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)


@pytest.mark.parametrize(
    ("x", "axis", "view"),
    [
        (numbered(8, 64, 7, 7), 1, View(8, 64, 49)),
        (numbered(8, 7, 7, 64), 3, View(392, 64, 1)),
        (numbered(8, 64), 1, View(8, 64, 1)),
        (numbered(64, 8, 7), 0, View(1, 64, 56)),
        (numbered(8, 7, 7, 64).movedim(3, 1), 1, View(392, 64, 1)),
        (numbered(7, 64, 8).permute(2, 1, 0), 1, View(7, 64, 8)),
        (numbered(8, 1, 7), 1, View(1, 1, 56)),
        (numbered(1, 64, 1, 1), 1, View(1, 64, 1)),
        (numbered(8, 64, 14)[..., ::2], 1, None),
        (numbered(8, 128)[:, :64], 1, None),
        (numbered(1, 64, 1).expand(8, 64, 7), 1, None),
    ],
)
def test_view_of(x: Tensor, axis: int, view: View | None) -> None:
    assert view_of(x, axis) == view


@given(case=cases(dtypes=(torch.float32,)))
def test_a_view_finds_every_value_of_every_channel(case: Case) -> None:
    """The memory, cut as the view says, holds for each channel the values that belong to it."""
    if not isinstance(case.channel_axis, int):
        return
    view = view_of(case.x, case.channel_axis)
    if view is None:
        assert case.layout in ("strided", "permuted")
        return
    size = case.x.numel()
    memory = case.x.as_strided((size,), (1,)).reshape(view)
    found = memory.movedim(1, 0).flatten(1).sort(1).values
    want = channels_last(case.x, case.channel_axis).t().float().sort(1).values
    assert torch.equal(found, want)


# --- axes ---------------------------------------------------------------------------------------


def test_axes() -> None:
    assert axes_of(1, 4) == (1,)
    assert axes_of(-1, 4) == (3,)
    assert axes_of((-1, 1), 4) == (1, 3)
    assert axes_of([0, 2], 3) == (0, 2)  # type: ignore[arg-type]  # a list will do
    assert other_axes((1, 3), 5) == (0, 2, 4)


@pytest.mark.parametrize(
    "axes", [4, -5, (), (0, 0), (1, -3), (0, 9), 1.0, "NC", None, (0, 1.5), [None]], ids=repr
)
def test_bad_axes(axes: int) -> None:
    with pytest.raises(BadAxis) as caught:
        axes_of(axes, 4)
    assert f"axes {axes} for a tensor of rank 4" in str(caught.value)
    assert "from -4 to 3" in caught.value.do


# --- rows ---------------------------------------------------------------------------------------


@given(case=cases())
def test_rows_hold_each_channels_values_and_go_back(case: Case) -> None:
    axes = axes_of(case.channel_axis, case.x.ndim)
    rows = rows_of(case.x, axes)
    seen = rows.of(case.x)
    channels = torch.Size(case.channels).numel()
    assert seen.shape[1] == channels
    assert seen.numel() == case.x.numel()
    found = seen.double().movedim(1, 0).flatten(1).sort(1).values
    want = channels_last(case.x, case.channel_axis).t().sort(1).values
    assert torch.equal(found, want)
    assert torch.equal(rows.back(seen), case.x)


@given(case=cases(), other=st.sampled_from(list(LAYOUTS)))
def test_rows_place_another_tensor_as_they_place_x(case: Case, other: str) -> None:
    """A residual or a gradient in another layout must meet the values of the same positions."""
    positions = torch.arange(float(case.x.numel())).reshape(case.x.shape)
    twin = positions.clone().as_strided(case.x.shape, positions.stride())
    if case.x.ndim == 4 and other in ("channels_last", "permuted"):
        twin = LAYOUTS[other](positions)[0]
    rows = rows_of(case.x, axes_of(case.channel_axis, case.x.ndim))
    assert torch.equal(rows.of(twin), rows.of(positions))


@pytest.mark.parametrize("layout", ["nchw", "nc", "ncl", "channels_last", "nhwc", "axis0"])
def test_rows_of_dense_tensors_are_views(layout: str) -> None:
    for shape in ((2, 3, 4, 5), (2, 3, 4, 1), (1, 3, 4, 5), (2, 1, 4, 5), (1, 1, 1, 1)):
        x, axis = LAYOUTS[layout](numbered(*shape))
        rows = rows_of(x, axes_of(axis, x.ndim))
        assert rows.of(x).data_ptr() == x.data_ptr()
        assert rows.back(rows.of(x)).data_ptr() == x.data_ptr()


@given(case=cases())
def test_rows_leave_torch_no_choice_of_layout(case: Case) -> None:
    """No kernel sees 4-D rows with an axis of size 1 that torch could read in two orders."""
    seen = rows_of(case.x, axes_of(case.channel_axis, case.x.ndim)).of(case.x)
    both = (
        seen.is_contiguous(),
        seen.ndim == 4 and seen.is_contiguous(memory_format=torch.channels_last),
    )
    assert not all(both)


def test_a_vector_is_one_row() -> None:
    x = numbered(6)[::2]
    rows = rows_of(x, (0,))
    assert rows.of(x).tolist() == [[0.0, 2.0, 4.0]]
    assert torch.equal(rows.back(rows.of(x)), x)


# --- checks -------------------------------------------------------------------------------------

X = torch.zeros(2, 3)
CHECKS: dict[str, tuple[Callable[[], None], type[EvenkeelError], str]] = {
    "float": (lambda: views.check_float(X.int(), "logits"), BadDtype, "logits of dtype int32"),
    "float of bool": (lambda: views.check_float(X.bool()), BadDtype, "dtype bool"),
    "tensor": (lambda: views.check_float(None), BadDtype, "NoneType"),  # type: ignore[arg-type]
    "empty": (lambda: views.check_not_empty(X[:0], (1,)), EmptyBatch, "[0, 3]"),
    "shape": (lambda: views.check_like(X[0], X, "mask"), BadShape, "mask [3], x [2, 3]"),
    "dtype": (lambda: views.check_like(X.half(), X, "mask"), BadDtype, "float16, x torch.float32"),
    "broadcast": (lambda: views.check_broadcast(X.t(), X, "w"), BadShape, "[3, 2], x [2, 3]"),
    "vector": (lambda: views.check_vector(X, (3,), "scale"), BadShape, "[2, 3], channels [3]"),
    "eps": (lambda: views.check_eps(-0.1), BadOption, "-0.1"),
    "eps nan": (lambda: views.check_eps(math.nan), BadOption, "nan"),
    "eps inf": (lambda: views.check_eps(math.inf), BadOption, "inf"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_refuses(name: str) -> None:
    check, kind, got = CHECKS[name]
    with pytest.raises(kind) as caught:
        check()
    assert got in caught.value.got
    assert len(caught.value.do) > 10


def test_what_is_right_passes() -> None:
    for dtype in views.FLOATS:
        views.check_float(X.to(dtype))
    views.check_not_empty(X, (1,))
    views.check_like(X.clone(), X, "residual")
    for shape in ((), (3,), (1, 3), (2, 1), (2, 3)):
        views.check_broadcast(torch.zeros(shape), X, "w")
    views.check_vector(None, (3,), "scale")
    views.check_vector(X[0], (3,), "scale")
    views.check_eps(0)


def test_statistics_are_float32_or_float64() -> None:
    got = [views.statistics_dtype(X.to(dtype)) for dtype in views.FLOATS]
    assert got == [torch.float32, torch.float32, torch.float32, torch.float64]
