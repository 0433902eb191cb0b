"""The one autograd function: gradients of what was asked for, second ones too, on any kernel."""

from itertools import product

import pytest
import torch
from torch import Tensor

from evenkeel.autograd import train
from evenkeel.kernels import use_kernel
from oracles import definitions
from oracles.available import available
from oracles.compare import assert_close
from oracles.strategies import values

EPS = 1e-3
SHAPES = [(6, 3), (3, 3, 2, 2), (1, 3, 4)]
FORWARD = available("train")
BACKWARD = available("backward")


def leaves(shape: tuple[int, ...]) -> list[Tensor]:
    vectors = values((2, 3), 1.0, 1)
    return [v.clone().requires_grad_() for v in (values(shape, 1.0, 0), vectors[0], vectors[1])]


def twice(y: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """First derivatives of Σ tanh(y), then those of a weighted sum of them."""
    first = torch.autograd.grad(y.tanh().sum(), inputs, create_graph=True)
    along = sum((f * values(tuple(f.shape), 0.0, 5)).sum() for f in first)
    assert isinstance(along, Tensor)
    return [*first, *torch.autograd.grad(along, inputs)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("backward", BACKWARD)
def test_first_and_second_derivative_on_every_backward_kernel(
    shape: tuple[int, ...], backward: str
) -> None:
    mine, true = leaves(shape), leaves(shape)
    with use_kernel("eager"):
        y, _, _ = train(mine[0], mine[1], mine[2], EPS)
    with use_kernel(backward):
        got = twice(y, mine)
    want = twice(definitions.batch_norm(true[0], true[1], true[2], EPS), true)
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        assert_close(g, w, 1e-11, f"derivative {i}")


@pytest.mark.parametrize("forward", FORWARD)
@pytest.mark.parametrize("wanted", [w for w in product((False, True), repeat=3) if any(w)])
def test_only_what_requires_a_gradient_gets_one(
    forward: str, wanted: tuple[bool, bool, bool]
) -> None:
    inputs = [v.requires_grad_(w) for v, w in zip(leaves((3, 3, 2, 2)), wanted, strict=True)]
    true = [v.requires_grad_() for v in leaves((3, 3, 2, 2))]
    with use_kernel(forward):
        y, mean, var = train(inputs[0], inputs[1], inputs[2], EPS)
        torch.autograd.backward(y.square().sum())
    torch.autograd.backward(definitions.batch_norm(true[0], true[1], true[2], EPS).square().sum())
    assert not mean.requires_grad
    assert not var.requires_grad
    for got, want, asked in zip(inputs, true, wanted, strict=True):
        assert (got.grad is not None) == asked
        if asked:
            assert got.grad is not None
            assert want.grad is not None
            assert_close(got.grad, want.grad, 1e-11, "gradient")


@pytest.mark.parametrize("forward", FORWARD)
def test_without_parameters(forward: str) -> None:
    x, true = leaves((3, 3, 2, 2))[0], leaves((3, 3, 2, 2))[0]
    with use_kernel(forward):
        got = twice(train(x, None, None, EPS)[0], [x])
    want = twice(definitions.batch_norm(true, None, None, EPS), [true])
    for g, w in zip(got, want, strict=True):
        assert_close(g, w, 1e-11, "derivative")


@pytest.mark.parametrize("forward", FORWARD)
def test_input_changed_before_backward_is_never_a_wrong_gradient(forward: str) -> None:
    leaf = leaves((3, 3, 2, 2))[0]
    x = leaf * 1
    with use_kernel(forward):
        y, _, _ = train(x, None, None, EPS)
    with torch.no_grad():
        x.mul_(2)
    try:
        (dx,) = torch.autograd.grad(y.pow(3).sum(), leaf)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
    else:  # a kernel that keeps no reference to x
        want = torch.autograd.grad(definitions.batch_norm(leaf, None, None, EPS).pow(3).sum(), leaf)
        assert_close(dx, want[0], 1e-11, "dx")


@pytest.mark.parametrize("forward", FORWARD)
def test_the_result_may_be_changed_in_place(forward: str) -> None:
    x, true = leaves((3, 3, 2, 2))[0], leaves((3, 3, 2, 2))[0]
    with use_kernel(forward):
        (dx,) = torch.autograd.grad(train(x, None, None, EPS)[0].relu_().square().sum(), x)
    y = definitions.batch_norm(true, None, None, EPS)
    (want,) = torch.autograd.grad(y.relu().square().sum(), true)
    assert_close(dx, want, 1e-11, "dx")


def test_torch_func_differentiates_it() -> None:
    x = values((6, 3), 0.0, 0)

    def loss(x: Tensor) -> Tensor:
        return train(x, None, None, EPS)[0].pow(3).sum()

    true = x.clone().requires_grad_()
    want = torch.autograd.grad(definitions.batch_norm(true, None, None, EPS).pow(3).sum(), true)
    assert_close(torch.func.grad(loss)(x), want[0], 1e-11, "dx")


def test_a_graph_that_is_kept_gives_the_same_gradient_again() -> None:
    inputs = leaves((6, 3))
    y = train(inputs[0], inputs[1], inputs[2], EPS)[0].square().sum()
    first = torch.autograd.grad(y, inputs, retain_graph=True)
    again = torch.autograd.grad(y, inputs)
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)
