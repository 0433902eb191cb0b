"""torch.func, forward differentiation and autocast: torch's own batch normalization's numbers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jvp, vmap
from torch.nn import functional as F

import evenkeel as ek
from oracles.compare import assert_close
from oracles.strategies import values

# torch's own, when it first differentiates forward.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")

WEIGHT, BIAS = values((3,), 1.0, 1), values((3,), 1.0, 2)


def ours(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    y = ek.functional.batch_norm(x, None, None, weight, bias, training=True, activation="relu")
    return y.square().sum()


def theirs(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.relu(F.batch_norm(x, None, None, weight, bias, training=True)).square().sum()


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
TRANSFORMS: dict[str, Callable[[Loss, Tensor], tuple[Tensor, ...]]] = {
    "grad": lambda f, x: grad(f, (0, 1, 2))(x[0], WEIGHT, BIAS),
    "vmap": lambda f, x: (vmap(f, (0, None, None))(x, WEIGHT, BIAS),),
    "vmap of grad": lambda f, x: vmap(grad(f, (0, 1, 2)), (0, None, None))(x, WEIGHT, BIAS),
    "jvp": lambda f, x: jvp(lambda v: f(v, WEIGHT, BIAS), (x[0],), (x[1],)),
    "hessian": lambda f, x: (hessian(lambda w: f(x[0], w, BIAS))(WEIGHT),),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_torch_func(name: str) -> None:
    x = values((5, 4, 3, 2, 2), 1.0, 0)
    got, want = (TRANSFORMS[name](f, x) for f in (ours, theirs))
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        assert_close(g, w, 1e-9, f"{name} {i}")


def test_a_network_s_layer_under_grad_and_vmap() -> None:
    layer = ek.BatchNorm2d(3, activation="relu").double().eval()
    parameters: dict[str, Tensor] = dict(layer.named_parameters())
    x = values((5, 4, 3, 2, 2), 1.0, 0)

    def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
        y: Tensor = functional_call(layer, p, (x,))
        return y.square().sum()

    each = vmap(grad(loss), (None, 0))(parameters, x)
    for i in range(5):
        one = grad(loss)(parameters, x[i])
        for name, gradient in one.items():
            assert_close(each[name][i], gradient, 1e-12, name)


def test_forward_differentiation() -> None:
    layer = ek.BatchNorm2d(3).double()
    x, along = values((4, 3, 2, 2), 1.0, 0), values((4, 3, 2, 2), 0.0, 1)
    with forward_ad.dual_level():
        dual = layer(forward_ad.make_dual(x, along))  # type: ignore[no-untyped-call]
        y = forward_ad.unpack_dual(dual)  # type: ignore[no-untyped-call]
    want = jvp(lambda v: F.batch_norm(v, None, None, training=True), (x,), (along,))[1]
    assert y.tangent is not None
    assert_close(y.tangent, want, 1e-9, "tangent")


def test_autocast() -> None:
    layer, plain = ek.BatchNorm2d(3, activation="relu"), torch.nn.BatchNorm2d(3)
    convolution = torch.nn.Conv2d(3, 3, 1)
    x = values((4, 3, 6, 6), 1.0, 0).float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = convolution(x)
        y, want = layer(inside), torch.relu(plain(inside))
    assert y.dtype == want.dtype == torch.bfloat16
    assert_close(y.float(), want.float(), 2**-7, "y")
    assert layer.running_mean is not None and plain.running_mean is not None
    assert_close(layer.running_mean, plain.running_mean, 2**-8, "running mean")
    y.sum().backward()
    assert x.grad is not None and x.grad.dtype == torch.float32
