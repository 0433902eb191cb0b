"""Native calls from layers: what is refused, parameters that were replaced, what autograd keeps."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import evenkeel as ek
from evenkeel.errors import EmptyBatch, EvenkeelError, OneValuePerChannel
from evenkeel.kernels import Call, library
from oracles import budgets, definitions
from oracles.compare import assert_close
from oracles.strategies import values

MISSING = library.why_missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)
EPS = 1e-3


def normal(*shape: int, seed: int = 0) -> Tensor:
    return values(shape, 1.0, seed).float()


# Refusals: never a read out of bounds.


def test_nothing_and_one_value_are_refused() -> None:
    layer = ek.BatchNorm1d(3)
    with pytest.raises(EmptyBatch):
        layer(torch.zeros(0, 3))
    with pytest.raises(OneValuePerChannel):
        layer(torch.zeros(1, 3))
    assert library.refuses(Call.of(torch.zeros(0, 3))) == "x is empty"
    for view in ((0, 3, 1), (1, 0, 1), (-1, 3, 1), (2**62, 3, 1)):
        packed = library.MOMENTS.pack(*view, 0, 0, 0, 1, 0, 0, 8, 8, 8)
        assert library.native().moments(packed) == 1


def put(layer: ek.BatchNorm2d, name: str, tensor: Tensor) -> None:
    """Replace a parameter or buffer behind the layer's back, after a first call."""
    layer(normal(4, 4, 5, 6))
    getattr(layer, name).data = tensor


VECTORS = ["weight", "bias", "running_mean", "running_var"]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("length", [0, 1, 3, 5])
def test_a_vector_of_another_length_is_an_error(name: str, length: int, training: bool) -> None:
    layer = ek.BatchNorm2d(4, EPS)
    put(layer, name, torch.ones(length))
    layer.train(training)
    with pytest.raises((EvenkeelError, RuntimeError), match=r"4|size"):
        layer(normal(4, 4, 5, 6))


FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "half": lambda v: v.half(),
    "double": lambda v: v.double(),
    "bfloat16": lambda v: v.bfloat16(),
    "gaps": lambda v: torch.stack([v, v + 9], 1)[:, 0],
    "one number": lambda v: v[:1].expand(4),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_parameter_of_another_form_is_read_right(form: str, name: str) -> None:
    layer, vectors = ek.BatchNorm2d(4, EPS), {"weight": torch.ones(4), "bias": torch.zeros(4)}
    vectors[name] = FORMS[form](torch.tensor([0.5, 1.5, -2.0, 3.0]))
    put(layer, name, vectors[name])
    x, dy = normal(4, 4, 5, 6), normal(4, 4, 5, 6, seed=1)
    y = layer(x)
    want = definitions.batch_norm(x, vectors["weight"], vectors["bias"], EPS)
    assert_close(y.detach(), want, 1e-6, "y", dtype=torch.float32)
    (made,) = torch.autograd.grad(y, [getattr(layer, name)], dy)
    rows = definitions.channels_last(dy, 1)
    plain = definitions.channels_last(definitions.batch_norm(x, None, None, EPS), 1)
    true = (rows * plain).sum(0) if name == "weight" else rows.sum(0)
    unit = budgets.UNIT[made.dtype] + 1e-6
    assert_close(made, true, unit, "gradient", dtype=vectors[name].dtype)


# What autograd keeps.


def test_x_that_changed_after_the_forward_pass_is_autograds_error() -> None:
    x = normal(4, 3, 5, 6).requires_grad_() * 1
    y = ek.BatchNorm2d(3)(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.backward(y.sum())


def test_autograd_sees_that_running_statistics_moved() -> None:
    layer = ek.BatchNorm2d(3)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    before = layer.running_mean._version, layer.running_var._version
    kept = (layer.running_var * torch.ones(3, requires_grad=True)).sum()
    layer(normal(4, 3, 5, 6))
    after = layer.running_mean._version, layer.running_var._version
    assert all(b > a for a, b in zip(before, after, strict=True))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.backward(kept)


def test_x_may_be_let_go_before_the_backward_pass() -> None:
    leaf, dy = normal(4, 3, 64, 64).requires_grad_(), normal(4, 3, 64, 64, seed=1)
    layer = ek.BatchNorm2d(3, EPS)
    y = layer(leaf * 1)
    others = [torch.full((4, 3, 64, 64), torch.nan) for _ in range(4)]  # where x would have been
    (dx,) = torch.autograd.grad(y, leaf, dy)
    true = leaf.detach().double().requires_grad_()
    (want,) = torch.autograd.grad(definitions.batch_norm(true, None, None, EPS), true, dy.double())
    assert_close(dx, want, 2e-6, "dx", dtype=torch.float32)
    assert len(others) == 4


@pytest.mark.parametrize("with_residual", [False, True])
def test_what_is_kept_for_the_backward_pass(with_residual: bool) -> None:
    """x, and with a residual y: nothing else of that size, and no copy."""
    x, residual = normal(4, 3, 16, 16).requires_grad_(), normal(4, 3, 16, 16, seed=1)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):  # type: ignore[func-returns-value]
        layer = ek.BatchNorm2d(3, activation="relu")
        y = layer(x, residual=residual if with_residual else None)
    large = {t.data_ptr() for t in kept if t.numel() >= x.numel()}
    assert large == ({x.data_ptr(), y.data_ptr()} if with_residual else {x.data_ptr()})
    assert sum(t.nbytes for t in kept if t.numel() < x.numel()) < 200
