"""Calls of every kind, right and wrong: an exact result or an error of ours, and nothing touched."""

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import evenkeel.functional as ek
from evenkeel.errors import EvenkeelError
from hardening.examples import fuzz
from nn.twin import ACTIVATIONS
from oracles import budgets, definitions
from oracles.compare import assert_close
from oracles.strategies import LAYOUTS

GOOD_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BAD_DTYPES = (torch.int64, torch.bool, torch.complex64, torch.uint8)
LARGE = 1e15  # whose square float32 still holds, sums of it included
SPECIAL = (float("nan"), float("inf"), -float("inf"), 1e30, 1e-40, 0.0)

shapes = st.lists(st.integers(0, 4), min_size=4, max_size=4)
bad_shapes = st.lists(st.integers(0, 3), max_size=6)
bad_axes = st.one_of(st.integers(-7, 7), st.lists(st.integers(-5, 5), max_size=3).map(tuple))
bad_numbers = st.sampled_from([-1.0, float("nan"), float("inf"), 0.0, 1.5, 1e-5])


@st.composite
def inputs(draw: st.DrawFn) -> tuple[Tensor, Any]:
    """x and a channel axis: mostly such as people give, some that no call can take."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    if draw(st.integers(0, 9)) == 0:
        shape, axis = draw(bad_shapes), draw(bad_axes)
        x = torch.randn(shape, generator=generator)
    else:
        base = torch.randn(draw(shapes), generator=generator)
        x, axis = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](base)
    if draw(st.integers(0, 5)) == 0 and x.numel():
        place = tuple(draw(st.integers(0, size - 1)) for size in x.shape)
        x[place] = draw(st.sampled_from(SPECIAL))
    dtypes = BAD_DTYPES if draw(st.integers(0, 15)) == 0 else GOOD_DTYPES
    return x.to(draw(st.sampled_from(dtypes))), axis


@st.composite
def vectors(draw: st.DrawFn, x: Tensor, axis: Any) -> dict[str, Tensor | None]:
    """Weight, bias and running statistics: each as it should be, missing, or of another shape."""
    axes = (axis,) if isinstance(axis, int) else axis
    fits = bool(axes) and all(-x.ndim <= a < x.ndim for a in axes)
    sizes = [x.shape[a] for a in sorted(a % x.ndim for a in axes)] if fits else [2]
    made: dict[str, Tensor | None] = {}
    for salt, name in enumerate(("weight", "bias", "running_mean", "running_var")):
        how = draw(st.sampled_from(["right", "right", "right", "right", "missing", "odd"]))
        shape = sizes if how != "odd" else draw(st.lists(st.integers(0, 4), max_size=2))
        values = torch.rand(shape, generator=torch.Generator().manual_seed(salt)) + 0.5
        made[name] = None if how == "missing" else values
    return made


@fuzz
@given(st.data())
def test_batch_norm_is_right_or_refuses(data: st.DataObject) -> None:
    x, axis = data.draw(inputs())
    given_ones = data.draw(vectors(x, axis))
    training = data.draw(st.booleans())
    activation = data.draw(st.sampled_from([None, None, "relu", "gelu", "elu", "nonsense"]))
    odd_number = data.draw(st.integers(0, 9)) == 0
    eps = data.draw(bad_numbers) if odd_number else 1e-3
    momentum = data.draw(bad_numbers) if odd_number else 0.25
    residual = data.draw(st.sampled_from([None, None, "like", "odd"]))
    other = {"like": torch.ones_like(x), "odd": torch.ones(2, 2)}.get(residual or "")
    before = [t if t is None else t.clone() for t in (x, other, *given_ones.values())]
    options = {
        "eps": eps,
        "momentum": momentum,
        "activation": activation,
        "residual": other,
        "channel_axis": axis,
        "training": training,
    }
    try:
        y = ek.batch_norm(x, **given_ones, **options)  # type: ignore[arg-type]
    except EvenkeelError as error:
        assert error.got
        assert error.do
        now = (x, other, *given_ones.values())
        assert all(_same(a, b) for a, b in zip(now, before, strict=True)), "touched by a refusal"
        return
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    kept = (x, other, given_ones["weight"], given_ones["bias"])
    assert all(_same(a, b) for a, b in zip(kept, before[:4], strict=True))
    if x.numel() and x.double().abs().max() < LARGE:  # False of NaN too
        _check(x, y, axis, before, training, eps, activation, other)


def _check(
    x: Tensor,
    y: Tensor,
    axis: Any,
    before: list[Tensor | None],
    training: bool,
    eps: float,
    activation: str | None,
    residual: Tensor | None,
) -> None:
    weight, bias, mean, var = before[2:]
    if not training:
        assert mean is not None
        assert var is not None
    stats = None if training or mean is None or var is None else (mean, var)
    want = definitions.batch_norm(x, weight, bias, eps, axis, stats)
    want = want if residual is None else want + residual.double()
    want = want if activation is None else ACTIVATIONS[activation](want)
    budget = budgets.of(x, x, weight, bias, eps, axis).y
    scale = 1.0
    if stats is not None:  # of given statistics: |x − mean|·rstd may be larger than 1
        scale = float((x.double().abs().max() + 2) / (float(stats[1].min()) + eps) ** 0.5) + 1
        budget = budgets.unit(x.dtype) * 4 + 4 * budgets.UNIT[x.dtype]
    if eps > 0 and want.abs().max() < torch.finfo(x.dtype).max:
        tiny = torch.finfo(x.dtype).tiny
        room = 2 * budget + 8 * budgets.UNIT[x.dtype] * float(want.abs().max()) + tiny
        assert_close(y, want, room, "y", dtype=x.dtype, scale=scale)


@fuzz
@given(st.data())
def test_moments_are_right_or_refused(data: st.DataObject) -> None:
    x, axis = data.draw(inputs())
    keepdims, weighted = data.draw(st.booleans()), data.draw(st.booleans())
    shape = x.shape if data.draw(st.integers(0, 3)) else data.draw(bad_shapes)
    weights = torch.randint(0, 3, tuple(shape), generator=torch.Generator().manual_seed(1))
    before = x.clone(), weights.clone()
    try:
        if weighted:
            mean, var, count = ek.weighted_moments(x, axis, weights, keepdims=keepdims)
        else:
            mean, var, count = ek.moments(x, axis, keepdims=keepdims)
    except EvenkeelError as error:
        assert error.got
        assert error.do
        return
    finally:
        assert _same(x, before[0])
        assert _same(weights, before[1])
    if not x.double().abs().max() < LARGE:  # True of NaN too
        return
    wide, spread = x.double(), (weights if weighted else torch.ones_like(weights)).double()
    spread = spread.expand_as(wide) if weighted else torch.ones_like(wide)
    axes = (axis,) if isinstance(axis, int) else axis
    total = spread.sum(axes, keepdim=True)
    centre = (spread * wide).sum(axes, keepdim=True) / total
    square = (spread * (wide - centre) ** 2).sum(axes, keepdim=True) / total
    want_shape = total.shape if keepdims else total.sum(axes).shape
    unit = 8 * budgets.unit(x.dtype)
    size = float(wide.abs().max()) + 1
    assert_close(mean, centre.view(want_shape), unit, "mean", dtype=mean.dtype, scale=size)
    assert_close(var, square.view(want_shape), unit, "var", dtype=var.dtype, scale=size**2)
    assert torch.equal(torch.as_tensor(count).double().expand(want_shape), total.view(want_shape))


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    """Bit for bit, NaN included."""
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0))
