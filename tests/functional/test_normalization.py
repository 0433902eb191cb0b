"""Batch normalization: torch's meaning in our signature, options, policies, and the named errors."""

import inspect
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from evenkeel import functional as ek
from evenkeel.errors import (
    BadAxis,
    BadDtype,
    BadOption,
    BadShape,
    EmptyBatch,
    EvenkeelError,
    NoStatistics,
    OneValuePerChannel,
    UnknownName,
)
from evenkeel.functional.normalization import blend
from evenkeel.kernels import use_kernel
from evenkeel.kernels.activations import ACTIVATIONS
from oracles import budgets, definitions
from oracles.available import available
from oracles.compare import assert_close
from oracles.strategies import DTYPES, LAYOUTS, Case, cases, values

EPS = 1e-3
OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "silu": F.silu,
    "hardswish": F.hardswish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
}


def vectors(case: Case) -> tuple[Tensor, Tensor]:
    return case.normal(*case.channels, salt=2), case.normal(*case.channels, salt=3)


# --- batch_norm is torch.nn.functional.batch_norm, and more ----------------------------------


def test_the_signature_starts_with_torchs() -> None:
    ours, theirs = (inspect.signature(f).parameters for f in (ek.batch_norm, F.batch_norm))
    assert list(ours)[: len(theirs)] == list(theirs)
    assert [ours[n].default for n in theirs] == [p.default for p in theirs.values()]
    assert [ours[n].kind for n in theirs] == [p.kind for p in theirs.values()]
    assert {p.kind for n, p in ours.items() if n not in theirs} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("training", [True, False])
@given(
    case=cases(layouts=("nc", "ncl", "nchw", "channels_last", "strided"), distances=(0.0, 1.0)),
    affine=st.booleans(),
    track=st.booleans(),
    momentum=st.sampled_from([0.0, 0.1, 0.9, 1.0]),
)
def test_equals_torchs_function(
    training: bool, case: Case, affine: bool, track: bool, momentum: float
) -> None:
    if training and case.count == 1:
        return
    statistics = budgets.UNIT[torch.float64] if case.x.dtype == torch.float64 else 2.0**-24
    dtype = torch.float64 if case.x.dtype == torch.float64 else torch.float32
    weight, bias = (v.to(dtype) if affine else None for v in vectors(case))
    tracked = track or not training
    old = (case.normal(*case.channels, salt=4, dtype=dtype), torch.rand(case.channels, dtype=dtype))
    mine, theirs = ([v.clone() if tracked else None for v in old] for _ in range(2))
    for_y, for_want = (
        {"input": case.x, "running_mean": m, "running_var": v, "weight": weight, "bias": bias}
        for m, v in (mine, theirs)
    )
    y = ek.batch_norm(**for_y, training=training, momentum=momentum)  # type: ignore[arg-type]
    want = F.batch_norm(**for_want, training=training, momentum=momentum)  # type: ignore[arg-type]
    budget = budgets.of(case.x, case.x, weight, bias, 1e-5, 1).y
    if not training:
        budget = 1e3 * budgets.UNIT[case.x.dtype] * (1 + float(want.double().abs().max()))
    assert_close(y, want, 2 * budget, "y", scale=1.0)
    if tracked:
        for name, got, true in zip(("mean", "var"), mine, theirs, strict=True):
            assert got is not None
            assert true is not None
            assert_close(got, true, 200 * statistics, f"running_{name}", scale=3.0)


def test_running_statistics_move_in_place_and_only_in_training() -> None:
    x = values((8, 3, 4, 4), 1.0, 0).float()
    mean, var = torch.zeros(3), torch.ones(3)
    ek.batch_norm(x, mean, var, training=False)
    assert torch.equal(mean, torch.zeros(3))
    assert torch.equal(var, torch.ones(3))
    version = mean._version
    ek.batch_norm(x, mean, var, training=True, momentum=0.25)
    assert mean._version > version  # autograd must see that they changed
    true_mean, true_var = definitions.moments(definitions.channels_last(x, 1))
    assert_close(mean, 0.25 * true_mean, 1e-6, "mean", dtype=torch.float32)
    want = 0.75 + 0.25 * true_var * 128 / 127
    assert_close(var, want, 1e-6, "var", dtype=torch.float32)


def test_gradients_equal_torchs() -> None:
    x, w, b = (values(s, 0.0, i) for i, s in enumerate([(4, 3, 5, 5), (3,), (3,)]))
    dy = values((4, 3, 5, 5), 0.0, 9)
    leaves = [v.requires_grad_() for v in (x, w, b)]
    got = torch.autograd.grad(ek.batch_norm(x, None, None, w, b, True), leaves, dy)
    want = torch.autograd.grad(F.batch_norm(x, None, None, w, b, True), leaves, dy)
    for name, mine, theirs in zip(("dx", "dw", "db"), got, want, strict=True):
        assert_close(mine, theirs, 1e-12, name)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("odd", ["x", "dy"])
def test_gradients_where_torch_misreads_the_layout(training: bool, odd: str) -> None:
    """[N, L, C] data as [N, C, L, 1]: torch 2.13 reads the other of x and dy in the wrong order."""
    nlc = values((4, 3, 2), 0.0, 0).transpose(1, 2).unsqueeze(-1)
    plain = values((4, 2, 3, 1), 0.0, 1)
    x, dy = (nlc, plain) if odd == "x" else (plain, nlc)
    x.requires_grad_()
    given = None if training else (torch.zeros(2), torch.ones(2))
    mean, var = given or (None, None)
    y = ek.batch_norm(x, mean, var, training=training, eps=EPS)
    (dx,) = torch.autograd.grad(y, x, dy)
    want = definitions.batch_norm(x, None, None, EPS, 1, given)
    assert_close(dx, torch.autograd.grad(want, x, dy)[0], 1e-12, "dx")


@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 2, 2)])
def test_two_passes_before_one_backward(shape: tuple[int, ...]) -> None:
    """A siamese network: torch's function keeps its running statistics for backward, and the second
    pass moves them (pytorch#22095); training gradients do not need them."""
    one, two = (values(shape, 0.0, seed).requires_grad_() for seed in (0, 1))
    mean, var = torch.zeros(3), torch.ones(3)
    ys = [ek.batch_norm(x, mean, var, training=True, eps=EPS) for x in (one, two)]
    got = torch.autograd.grad(sum((y.pow(3).sum() for y in ys), torch.zeros(())), (one, two))
    wants = [definitions.batch_norm(x, None, None, EPS) for x in (one, two)]
    want = torch.autograd.grad(sum((y.pow(3).sum() for y in wants), torch.zeros(())), (one, two))
    for g, w in zip(got, want, strict=True):
        assert_close(g, w, 1e-12, "dx")


# --- layouts, dtypes, options ----------------------------------------------------------------


@given(case=cases())
def test_inference_by_given_statistics(case: Case) -> None:
    dtype = torch.float64 if case.x.dtype == torch.float64 else torch.float32
    weight, bias = vectors(case)
    mean = case.normal(*case.channels, salt=4, dtype=dtype) + case.distance
    var = case.normal(*case.channels, salt=5, dtype=dtype).square() + 0.1
    y, given_mean, given_var = ek.fused_batch_norm(
        case.x, weight, bias, mean, var, training=False, channel_axis=case.channel_axis, eps=EPS
    )
    assert given_mean is mean
    assert given_var is var
    want = definitions.batch_norm(case.x, weight, bias, EPS, case.channel_axis, (mean, var))
    rows = definitions.channels_last(case.x, case.channel_axis).abs()
    scale = weight.double().flatten().abs() / (var.double().flatten() + EPS).sqrt()
    size = scale * (rows + mean.double().flatten().abs()) + bias.double().flatten().abs()
    unit = budgets.unit(case.x.dtype) + 2 * budgets.UNIT[case.x.dtype]
    assert_close(y, want, unit * float(size.max()), "y", dtype=case.x.dtype, scale=1.0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layout_is_kept(dtype: torch.dtype, layout: str) -> None:
    x, axis = LAYOUTS[layout](values((4, 3, 5, 6), 0.0, 0).to(dtype))
    y, *_ = ek.fused_batch_norm(x, None, None, channel_axis=axis)
    if layout in ("nchw", "nc", "ncl", "channels_last", "nhwc", "axis0"):
        assert y.stride() == x.stride()


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layout", ["nchw", "nhwc", "tuple"])
def test_activation_and_residual(name: str, training: bool, layout: str) -> None:
    x, axis = LAYOUTS[layout](values((4, 3, 5, 5), 0.0, 0).float())
    residual = LAYOUTS[layout](values((4, 3, 5, 5), 0.0, 1).float())[0]
    kept, before = residual.clone(), x.clone()
    plain, mean, var = ek.fused_batch_norm(x, None, None, channel_axis=axis)
    given = (None, None) if training else (mean, var)
    plain, *_ = ek.fused_batch_norm(x, None, None, *given, training=training, channel_axis=axis)
    for extra, want in ((None, plain), (residual, plain + residual)):
        y, *_ = ek.fused_batch_norm(
            x,
            None,
            None,
            *given,
            training=training,
            channel_axis=axis,
            activation=name,
            residual=extra,
        )
        assert_close(y, OTHERS[name](want), 1e-6, name)
    assert torch.equal(residual, kept)
    assert torch.equal(x, before)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layout", ["nchw", "nhwc", "axis0", "tuple"])
def test_batch_norm_takes_the_same_options(training: bool, layout: str) -> None:
    base = values((4, 3, 5, 3), 0.0, 0)  # as many columns as channels: a wrong axis would fit
    x, axis = LAYOUTS[layout](base)
    residual = values(tuple(x.shape), 0.0, 1)
    sizes = (3, 3) if layout == "tuple" else (3,)
    weight, bias, mean, var = (values(sizes, 1.0, seed) for seed in (2, 3, 4, 5))
    var = var.square() + 0.1
    given = (None, None) if training else (mean, var)
    want, batch_mean, batch_var = ek.fused_batch_norm(
        x,
        weight,
        bias,
        *given,
        eps=EPS,
        training=training,
        channel_axis=axis,
        activation="silu",
        residual=residual,
    )
    running = mean.clone(), var.clone()
    y = ek.batch_norm(
        x,
        *running,
        weight,
        bias,
        training,
        0.25,
        EPS,
        activation="silu",
        residual=residual,
        channel_axis=axis,
    )
    assert_close(y, want, 1e-14, "y")
    share = 0.25 if training else 0.0
    assert_close(running[0], mean + share * (batch_mean - mean), 1e-14, "running_mean")
    assert_close(running[1], var + share * (batch_var - var), 1e-14, "running_var")


def test_every_activation_is_tested() -> None:
    assert set(OTHERS) == set(ACTIVATIONS)


@pytest.mark.parametrize("training", [True, False])
def test_a_residual_in_another_layout_meets_its_own_values(training: bool) -> None:
    x = values((2, 3, 4, 5), 0.0, 0).float().contiguous(memory_format=torch.channels_last)
    residual = values((2, 3, 4, 5), 0.0, 1).float()
    given = (None, None) if training else (torch.zeros(3), torch.ones(3))
    y, *_ = ek.fused_batch_norm(x, None, None, *given, training=training, residual=residual)
    plain, *_ = ek.fused_batch_norm(x, None, None, *given, training=training)
    assert_close(y, plain + residual, 1e-6, "y")


def test_batch_var_has_bessels_correction_and_one_value_keeps_its_variance() -> None:
    x = torch.tensor([[1.0], [3.0]])
    assert ek.fused_batch_norm(x, None, None)[2].item() == 2.0
    y, mean, var = ek.fused_batch_norm(x[:1], torch.ones(1), torch.full((1,), 5.0))
    assert (y.item(), mean.item(), var.item()) == (5.0, 1.0, 0.0)


def test_statistics_carry_no_gradient() -> None:
    for x in (values((4, 3), 0.0, 0), values((4, 3, 2, 2), 0.0, 0)):
        _, mean, var = ek.fused_batch_norm(x.requires_grad_(), None, None)
        assert not mean.requires_grad
        assert not var.requires_grad


def test_eps_below_tensorflows_floor_is_kept() -> None:
    x = torch.tensor([[0.0], [2e-3]])
    y, *_ = ek.fused_batch_norm(x, None, None, eps=1e-9)
    assert_close(y, torch.tensor([[-1.0], [1.0]]), 1e-3, "y")


def test_parameters_of_another_dtype_get_their_own_gradient() -> None:
    weight = torch.ones(3, dtype=torch.float16, requires_grad=True)
    y, *_ = ek.fused_batch_norm(values((4, 3), 0.0, 0).bfloat16(), weight, None)
    (dweight,) = torch.autograd.grad(y.float().square().sum(), weight)
    assert y.dtype == torch.bfloat16
    assert dweight.dtype == torch.float16


def test_inference_takes_an_empty_batch() -> None:
    inputs: list[tuple[tuple[int, ...], definitions.Axes]]
    inputs = [((0, 3), 1), ((0, 3, 4, 4), 1), ((0, 4, 4, 3), -1), ((0, 3, 4), (1, 2))]
    for shape, axis in inputs:
        x = torch.zeros(shape)
        sizes = (3, 4) if isinstance(axis, tuple) else (3,)
        mean, var = torch.zeros(sizes), torch.ones(sizes)
        y, *_ = ek.fused_batch_norm(
            x, None, None, mean, var, training=False, channel_axis=axis, activation="relu"
        )
        assert y.shape == x.shape


# --- batches that are not finite ---------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 4, 4)])
def test_a_batch_that_is_not_finite_leaves_the_running_statistics(
    value: float, shape: tuple[int, ...]
) -> None:
    x = values(shape, 0.0, 0).float()
    x[2, 1] = value
    mean, var = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0, 6.0])
    y = ek.batch_norm(x, mean, var, training=True)
    assert mean.tolist() == [1.0, 2.0, 3.0]
    assert var.tolist() == [4.0, 5.0, 6.0]
    assert y[:, 1].isnan().any()
    assert y[:, 0].isfinite().all()


def test_torch_would_have_poisoned_them() -> None:
    x = values((8, 3), 0.0, 0).float()
    x[2, 1] = math.nan
    mean = torch.zeros(3)
    F.batch_norm(x, mean, torch.ones(3), training=True)
    assert mean.isnan().any()


# --- batch_normalization ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("distance", [0.0, 1.0, 1e2, 1e4])
def test_batch_normalization_broadcasts_within_its_budget(
    dtype: torch.dtype, distance: float
) -> None:
    x = values((4, 5, 6), distance, 0).to(dtype)
    mean, var = values((5, 1), distance, 1).float(), values((6,), 0.0, 2).float().square() + 0.1
    scale, offset = values((1, 5, 1), 0.0, 3).float(), values((), 0.0, 4).float()
    y = ek.batch_normalization(x, mean, var, offset, scale, EPS)
    rstd = (var.double() + EPS).rsqrt() * scale.double()
    want = (x.double() - mean.double()) * rstd + offset.double()
    ulps = 4 * 2.0**-24 if dtype != torch.float64 else 4 * 2.0**-53
    size = (want - offset).abs() + offset.abs()
    budget = float((ulps * size + budgets.UNIT[dtype] * want.abs()).max())
    assert_close(y, want, budget, "y", dtype=dtype, scale=1.0)


def test_batch_normalization_without_scale_and_offset() -> None:
    x, mean, var = values((4, 3), 0.0, 0), values((3,), 0.0, 1), torch.ones(3).double()
    got = ek.batch_normalization(x, mean, var, None, None, 3.0)
    assert_close(got, (x - mean) / 2, 1e-15, "y")


def test_blend_keeps_the_dtype_of_the_running_value() -> None:
    new = blend(torch.zeros(2, dtype=torch.float16), torch.ones(2), torch.tensor(0.5))
    assert new.dtype == torch.float16
    assert new.tolist() == [0.5, 0.5]


# --- bad input --------------------------------------------------------------------------------

X, V, ONES = torch.randn(4, 3, 2, 2), torch.zeros(3), torch.ones(3)
BAD: dict[str, tuple[Callable[[], object], type[EvenkeelError], tuple[str, ...]]] = {
    "integers": (
        lambda: ek.fused_batch_norm(X.int(), None, None),
        BadDtype,
        ("floating-point", "x of dtype int32", "x.float()"),
    ),
    "complex": (lambda: ek.fused_batch_norm(X + 1j, None, None), BadDtype, ("complex64",)),
    "numpy": (
        lambda: ek.batch_norm(X.numpy(), None, None, training=True),  # type: ignore[arg-type]
        BadDtype,
        ("torch tensor", "ndarray", "torch.as_tensor(x)"),
    ),
    "empty batch": (
        lambda: ek.fused_batch_norm(X[:0], None, None),
        EmptyBatch,
        ("no value", "[0, 3, 2, 2]", "skip empty batches"),
    ),
    "empty batch in batch_norm": (
        lambda: ek.batch_norm(X[:0], None, None, training=True),
        EmptyBatch,
        ("no value",),
    ),
    "no such axis": (
        lambda: ek.fused_batch_norm(X, None, None, channel_axis=4),
        BadAxis,
        ("axes 4 for a tensor of rank 4", "from -4 to 3"),
    ),
    "axis twice": (lambda: ek.fused_batch_norm(X, None, None, channel_axis=(1, -3)), BadAxis, ()),
    "vector input": (lambda: ek.fused_batch_norm(V, None, None), BadAxis, ("rank 1",)),
    "wrong weight": (
        lambda: ek.fused_batch_norm(X, torch.ones(2), None),
        BadShape,
        ("weight (scale)", "[2], channels [3]", "axis 1"),
    ),
    "wrong bias": (lambda: ek.fused_batch_norm(X, None, torch.ones(3, 1)), BadShape, ("bias",)),
    "wrong mean": (
        lambda: ek.fused_batch_norm(X, None, None, torch.ones(2), ONES, training=False),
        BadShape,
        ("mean", "[2]"),
    ),
    "wrong variance": (
        lambda: ek.fused_batch_norm(X, None, None, ONES, torch.ones(()), training=False),
        BadShape,
        ("variance",),
    ),
    "wrong running_mean": (
        lambda: ek.batch_norm(X, torch.zeros(1), ONES.clone(), training=True),
        BadShape,
        ("running_mean", "[1]"),
    ),
    "residual of another shape": (
        lambda: ek.fused_batch_norm(X, None, None, residual=X[:1]),
        BadShape,
        ("residual", "[1, 3, 2, 2]", "downsampling"),
    ),
    "residual of another dtype": (
        lambda: ek.fused_batch_norm(X, None, None, residual=X.half()),
        BadDtype,
        ("residual", "float16", "residual.to(x.dtype)"),
    ),
    "unknown activation": (
        lambda: ek.fused_batch_norm(X, None, None, activation="rleu"),
        UnknownName,
        ("no activation is called 'rleu'", "try relu"),
    ),
    "activation in inference": (
        lambda: ek.batch_norm(X, V, ONES, activation="Relu6"),
        UnknownName,
        ("try relu6",),
    ),
    "callable activation": (
        lambda: ek.fused_batch_norm(X, None, None, activation=F.relu),  # type: ignore[arg-type]
        UnknownName,
        ("known: relu",),
    ),
    "list of activations": (
        lambda: ek.fused_batch_norm(X, None, None, activation=["relu"]),  # type: ignore[arg-type]
        UnknownName,
        ("try relu",),
    ),
    "training with statistics": (
        lambda: ek.fused_batch_norm(X, None, None, V, ONES),
        BadOption,
        ("training=True, mean given, variance given", "neither"),
    ),
    "inference without statistics": (
        lambda: ek.fused_batch_norm(X, None, None, training=False),
        BadOption,
        ("mean None, variance None",),
    ),
    "inference with half of them": (
        lambda: ek.fused_batch_norm(X, None, None, V, training=False),
        BadOption,
        ("mean given, variance None",),
    ),
    "batch_norm without running statistics": (
        lambda: ek.batch_norm(X, None, ONES),
        NoStatistics,
        ("running_mean None, running_var given", "training=True"),
    ),
    "one value per channel": (
        lambda: ek.batch_norm(X[:1, :, :1, :1], None, None, training=True),
        OneValuePerChannel,
        ("[1, 3, 1, 1]", "drop_last=True"),
    ),
    "mean that does not broadcast": (
        lambda: ek.batch_normalization(X, torch.ones(3), torch.ones(1), None, None, EPS),
        BadShape,
        ("mean must broadcast to x", "[3]", "from the last axis"),
    ),
    "scale of too many axes": (
        lambda: ek.batch_normalization(V, V, ONES, None, torch.ones(1, 3), EPS),
        BadShape,
        ("scale",),
    ),
    "integers in batch_normalization": (
        lambda: ek.batch_normalization(X.long(), V[:1], ONES[:1], None, None, EPS),
        BadDtype,
        (),
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


@pytest.mark.parametrize("eps", [-1e-5, math.nan, math.inf])
@pytest.mark.parametrize("training", [True, False])
def test_bad_eps(eps: float, training: bool) -> None:
    given = (None, None) if training else (V, ONES)
    for call in (
        lambda: ek.fused_batch_norm(X, None, None, *given, training=training, eps=eps),
        lambda: ek.batch_norm(X, V.clone(), ONES.clone(), training=training, eps=eps),
        lambda: ek.batch_normalization(X, V[:1], ONES[:1], None, None, eps),
    ):
        with pytest.raises(BadOption, match="eps must be 0 or a positive number"):
            call()


def test_a_failure_leaves_the_running_statistics_untouched() -> None:
    mean, var = torch.zeros(3), torch.ones(4)
    with pytest.raises(BadShape, match="running_var"):
        ek.batch_norm(X, mean, var, training=True)
    with pytest.raises(UnknownName):
        ek.batch_norm(X, mean, torch.ones(3), training=True, activation="x")
    assert torch.equal(mean, torch.zeros(3))


@pytest.mark.parametrize("layout", ["contiguous", "channels last", "gaps"])
@pytest.mark.parametrize("activation", [None, "relu", "silu"])
@pytest.mark.parametrize("kernel", available("normalize"))
def test_inference_into_a_given_tensor(layout: str, activation: str | None, kernel: str) -> None:
    x, residual = (values((3, 4, 2, 5), 1.0, seed) for seed in (0, 1))
    mean, var = values((4,), 0.0, 2), values((4,), 0.0, 3).square()
    if layout == "channels last":
        x = x.contiguous(memory_format=torch.channels_last)
    if layout == "gaps":
        x = torch.stack([x, x], -1)[..., 0]

    def infer(out: Tensor | None = None) -> Tensor:
        given = {"activation": activation, "residual": residual, "out": out}
        return ek.batch_norm(x, mean, var, **given)  # type: ignore[arg-type]

    with use_kernel(kernel):
        want = infer()
        for out in (x.clone(), torch.full((3, 4, 2, 5), 7.0, dtype=x.dtype), residual.clone()):
            assert infer(out) is out
            assert torch.equal(out, want)
        version = x._version
        got, _, _ = ek.fused_batch_norm(
            x,
            None,
            None,
            mean,
            var,
            eps=1e-5,
            training=False,
            activation=activation,
            residual=residual,
            out=x,
        )
    assert got is x and torch.equal(x, want) and x._version > version


def test_out_that_is_the_residual_or_overlaps() -> None:
    long = values((3 * 4 * 10 + 1,), 1.0, 0)
    x, shifted = long[:-1].view(3, 4, 10), long[1:].view(3, 4, 10)
    residual = values((3, 4, 10), 1.0, 1)
    mean, var = values((4,), 0.0, 2), values((4,), 0.0, 3).square()
    want = ek.batch_norm(x, mean, var, residual=residual)
    ek.batch_norm(x, mean, var, residual=residual, out=residual)
    assert torch.equal(residual, want)
    want = ek.batch_norm(x, mean, var)
    ek.batch_norm(x, mean, var, out=shifted)
    assert torch.equal(shifted, want)


def test_out_by_a_plan_is_checked_as_without_one() -> None:
    x, mean, var = values((3, 4), 1.0, 0).float(), torch.zeros(4), torch.ones(4)
    want = ek.batch_norm(x, mean, var)  # later calls of this kind go to the kernel at once
    out = torch.full_like(x, 7.0)
    version = out._version
    assert ek.batch_norm(x, mean, var, out=out) is out
    assert torch.equal(out, want)
    assert out._version > version
    with pytest.raises(BadOption, match="gradients"):
        ek.batch_norm(x, mean, var, out=torch.empty_like(x, requires_grad=True))
    with pytest.raises(BadShape, match="out"):
        ek.batch_norm(x, mean, var, out=out[:2])
    with pytest.raises(BadDtype, match="out"):
        ek.batch_norm(x, mean, var, out=out.double())
    turned = torch.empty(4, 3).T
    assert torch.equal(ek.batch_norm(x, mean, var, out=turned), want)


def test_out_is_refused_where_it_cannot_be() -> None:
    x, mean, var = values((3, 4), 1.0, 0), torch.zeros(4).double(), torch.ones(4).double()
    with pytest.raises(BadOption, match="training"):
        ek.batch_norm(x, mean, var, training=True, out=x)
    with pytest.raises(BadOption, match="gradients"):
        ek.batch_norm(x, mean, var, mean.clone().requires_grad_(), out=x)
    with pytest.raises(BadShape, match="out"):
        ek.batch_norm(x, mean, var, out=x[:2])
    with pytest.raises(BadDtype, match="out"):
        ek.batch_norm(x, mean, var, out=x.float())


def test_the_first_call_of_a_kind_and_the_others_give_the_same_bits() -> None:
    """The first is checked and planned, the others go to the kernel at once."""
    x = values((7, 3, 11), 1.0, 0).float()
    weight, bias = values((2, 3), 0.0, 1).float()
    results = []
    for _ in range(3):
        mean, var = torch.zeros(3), torch.ones(3)
        y = ek.batch_norm(x, mean, var, weight, bias, training=True, activation="silu")
        inferred = ek.batch_norm(x, mean, var, weight, bias, activation="silu")
        results.append((y, mean, var, inferred))
    for again in results[1:]:
        assert all(map(torch.equal, again, results[0]))


def test_a_plan_takes_no_vector_that_does_not_fit_it() -> None:
    x = values((7, 3, 11), 1.0, 0).float()
    mean, var, weight = torch.zeros(3), torch.ones(3), torch.ones(3)
    for _ in range(2):
        ek.batch_norm(x, mean, var, weight, training=True)
        with pytest.raises(BadShape, match="weight"):
            ek.batch_norm(x, mean, var, torch.ones(2), training=True)
        with pytest.raises(BadShape, match="running_var"):
            ek.batch_norm(x, mean, torch.ones(4), weight)
        with pytest.raises(BadOption, match="eps"):
            ek.batch_norm(x, mean, var, weight, eps=-1.0)
        with pytest.raises(BadShape, match="residual"):
            ek.batch_norm(x, mean, var, weight, residual=x[:2])
    double = ek.batch_norm(x, mean.double(), var.double(), weight)
    assert_close(double, ek.batch_norm(x, mean, var, weight), 1e-6, "statistics in float64")
