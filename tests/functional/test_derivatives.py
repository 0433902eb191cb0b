"""Every function and option is differentiable twice: gradgradcheck in f64, and f32 against f64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from evenkeel import functional as ek
from evenkeel.errors import NoKernel
from evenkeel.kernels import KERNELS, use_kernel
from evenkeel.kernels.activations import ACTIVATIONS
from oracles import definitions
from oracles.available import available
from oracles.compare import assert_close
from oracles.strategies import LAYOUTS, values

EPS = 1e-3
Function = Callable[..., Tensor]


def check_twice(function: Function, *leaves: Tensor) -> None:
    """First and second derivative against finite differences, along random directions."""
    torch.manual_seed(0)  # the directions
    inputs = tuple(v.detach().double().requires_grad_() for v in leaves)
    assert gradcheck(function, inputs, fast_mode=True)
    assert gradgradcheck(function, inputs, fast_mode=True)


def drawn(*shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    return tuple(values(shape, 0.0, seed) for seed, shape in enumerate(shapes))


@pytest.mark.parametrize("kernel", [k.name for k in KERNELS["train"]])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_training_on_every_kernel(kernel: str, layout: str) -> None:
    base, weight, bias = drawn((3, 2, 3, 2), (2, 2) if layout == "tuple" else (2,), (2,))
    bias = weight.flip(0) if layout == "tuple" else bias
    _, axis = LAYOUTS[layout](base)

    def function(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return ek.fused_batch_norm(LAYOUTS[layout](x)[0], w, b, eps=EPS, channel_axis=axis)[0]

    with use_kernel(kernel):
        try:
            function(base, weight, bias)
        except NoKernel:
            pytest.skip(f"{kernel} refuses {layout}")
        check_twice(function, base, weight, bias)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_residual_and_activation(training: bool, activation: str | None, layout: str) -> None:
    base, weight, bias, mean, residual = drawn((3, 2, 2, 2), (2,), (2,), (2,), (3, 2, 2, 2))
    given = (None, None) if training else (mean, mean.square() + 0.5)
    _, axis = LAYOUTS[layout](base)

    def function(x: Tensor, w: Tensor, b: Tensor, r: Tensor) -> Tensor:
        return ek.fused_batch_norm(
            LAYOUTS[layout](x)[0],
            w,
            b,
            *given,
            eps=EPS,
            training=training,
            channel_axis=axis,
            activation=activation,
            residual=LAYOUTS[layout](r)[0],
        )[0]

    check_twice(function, base, weight, bias, residual)


@pytest.mark.parametrize("shape", [(4, 3), (3, 2, 2), (1, 3, 2, 2), (4, 1)])
def test_batch_norm_with_running_statistics(shape: tuple[int, ...]) -> None:
    x, weight = drawn(shape, shape[1:2])

    def function(x: Tensor, w: Tensor) -> Tensor:
        mean, var = torch.zeros(shape[1]), torch.ones(shape[1])
        return ek.batch_norm(x, mean, var, w, None, training=True)

    check_twice(function, x, weight)


@pytest.mark.parametrize("axes", [0, (0, 2), (1, 2)])
@pytest.mark.parametrize("part", [0, 1])
def test_moments(axes: int | tuple[int, ...], part: int) -> None:
    (x,) = drawn((3, 4, 2))
    check_twice(lambda x: torch.as_tensor(ek.moments(x, axes)[part]), x)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_weighted_moments_in_values_and_weights(part: int) -> None:
    x, weights = drawn((4, 3, 2), (4, 1, 2))
    positive = weights.abs() + 0.1
    check_twice(lambda x, w: torch.as_tensor(ek.weighted_moments(x, (0, 2), w)[part]), x, positive)


@pytest.mark.parametrize("part", [0, 1])
def test_merged_moments(part: int) -> None:
    x, y = drawn((4, 3), (2, 3))

    def function(x: Tensor, y: Tensor) -> Tensor:
        return torch.as_tensor(ek.merge_moments(ek.moments(x, 0), ek.moments(y, 0))[part])

    check_twice(function, x, y)


def test_batch_normalization_in_everything() -> None:
    x, mean, root, offset, scale = drawn((4, 3, 2), (3, 1), (2,), (1,), (4, 1, 1))

    def function(x: Tensor, m: Tensor, r: Tensor, o: Tensor, s: Tensor) -> Tensor:
        return ek.batch_normalization(x, m, r.square() + 0.5, o, s, EPS)

    check_twice(function, x, mean, root, offset, scale)


@pytest.mark.parametrize("radius", [0, 1, 5])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_local_response_normalization(radius: int, axis: int) -> None:
    (x,) = drawn((3, 4, 2))
    check_twice(
        lambda x: ek.local_response_normalization(x, depth_radius=radius, channel_axis=axis), x
    )


@pytest.mark.parametrize("axis", [0, (1, 2)])
def test_l2_normalize(axis: int | tuple[int, ...]) -> None:
    (x,) = drawn((3, 4, 2))
    check_twice(lambda x: ek.l2_normalize(x, axis), x)


def test_given_statistics_get_no_gradient() -> None:
    x, mean = drawn((4, 3), (3,))
    mean.requires_grad_()
    for kernel in available("normalize"):
        with use_kernel(kernel):
            y, *_ = ek.fused_batch_norm(x, None, None, mean, mean.square(), training=False)
        assert not y.requires_grad


@pytest.mark.parametrize(
    "kernel", sorted({"native", "composite", "reference"} & set(available("train")))
)
@pytest.mark.parametrize("shape", [(6, 3), (3, 3, 2, 2)])
def test_third_derivative(shape: tuple[int, ...], kernel: str) -> None:
    """torch 2.13's own is off by 30 to 50 percent here (pytorch#186256)."""

    def third(function: Function) -> Tensor:
        x = values(shape, 0.0, 0).requires_grad_()
        (g,) = torch.autograd.grad(function(x).tanh().sum(), x, create_graph=True)
        (h,) = torch.autograd.grad((g * values(shape, 0.0, 1)).sum(), x, create_graph=True)
        return torch.autograd.grad((h * values(shape, 0.0, 2)).sum(), x)[0]

    with use_kernel(kernel):
        got = third(lambda x: ek.fused_batch_norm(x, None, None, eps=EPS)[0])
    assert_close(got, third(lambda x: definitions.batch_norm(x, None, None, EPS)), 1e-12, "third")


# --- float32 against float64 --------------------------------------------------------------------


def derivatives(function: Function, leaves: list[Tensor]) -> list[Tensor]:
    """All first derivatives, then the second ones along a fixed direction."""
    y = function(*leaves)
    dy = values(tuple(y.shape), 0.0, 77).to(y.dtype)
    first = torch.autograd.grad(y, leaves, dy, create_graph=True)
    along = sum(
        ((f * values(tuple(f.shape), 0.0, 78 + i).to(f.dtype)).sum() for i, f in enumerate(first)),
        torch.zeros(()),
    )
    return [*first, *torch.autograd.grad(along, leaves)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("distance", [0.0, 1.0])
def test_first_and_second_derivative_in_float32(layout: str, distance: float) -> None:
    x, axis = LAYOUTS[layout](values((8, 3, 5, 4), distance, 0).float())
    sizes = (3, 4) if layout == "tuple" else (3,)
    vectors = [values(sizes, 1.0, 1).float(), values(sizes, 0.0, 2).float()]
    mine = [v.detach().requires_grad_() for v in (x, *vectors)]
    true = [v.detach().double().requires_grad_() for v in (x, *vectors)]
    got = derivatives(
        lambda x, w, b: ek.fused_batch_norm(x, w, b, eps=EPS, channel_axis=axis)[0].tanh(), mine
    )
    want = derivatives(lambda x, w, b: definitions.batch_norm(x, w, b, EPS, axis).tanh(), true)
    names = [f"{n}{order}" for order in ("'", "''") for n in ("x", "weight", "bias")]
    for name, g, w in zip(names, got, want, strict=True):
        assert_close(g, w, 1e-5, name, dtype=torch.float32)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", ["nchw", "nhwc", "nc"])
def test_first_derivative_in_half_precision(dtype: torch.dtype, layout: str) -> None:
    x, axis = LAYOUTS[layout](values((8, 3, 7, 3), 1.0, 0).to(dtype))
    weight = values((3,), 1.0, 1).float()
    mine, true = (
        [v.detach().to(t or v).requires_grad_() for v in (x, weight)] for t in (None, torch.float64)
    )
    dy = values(tuple(x.shape), 0.5, 3).to(dtype)
    got = torch.autograd.grad(
        ek.fused_batch_norm(mine[0], mine[1], None, eps=EPS, channel_axis=axis)[0], mine, dy
    )
    want = torch.autograd.grad(
        definitions.batch_norm(true[0], true[1], None, EPS, axis), true, dy.double()
    )
    assert_close(
        got[0], want[0], 2.0**-10 if dtype == torch.float16 else 2.0**-7, "dx", dtype=dtype
    )
    assert_close(got[1], want[1], 1e-5, "dweight", dtype=torch.float32)


def test_the_check_rejects_statistics_held_constant() -> None:
    def wrong(x: Tensor) -> Tensor:
        mean, var, _ = ek.moments(x.detach(), 0)
        return (x - mean) / (var + EPS).sqrt()

    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        check_twice(wrong, *drawn((4, 3)))
