"""torch.compile gives the same numbers in one graph; the code it generates under `slow`."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from evenkeel import functional as ek
from oracles.compare import assert_close
from oracles.strategies import values

# torch's own, while it compiles: it looks at tensors behind a graph break, and imports torch.jit.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning"),
]

Function = Callable[[Tensor], Tensor]
WEIGHT, BIAS = values((3,), 1.0, 1).float(), values((3,), 0.0, 2).float()


def running(x: Tensor) -> Tensor:
    mean, var = torch.zeros(3), torch.ones(3)
    y = ek.batch_norm(x, mean, var, WEIGHT, BIAS, training=True)
    return y + (mean + var).sum()


def inference(x: Tensor) -> Tensor:
    return ek.batch_norm(x, BIAS, WEIGHT.abs(), WEIGHT, BIAS, activation="silu")


def weighted(x: Tensor) -> Tensor:
    got = ek.weighted_moments(x, (0, 2, 3), x.detach().abs())
    return got.mean + got.var


def merged(x: Tensor) -> Tensor:
    parts = (ek.moments(part, (0, 2, 3)) for part in (x[:1], x[1:]))
    got = ek.merge_moments(*parts)
    return got.mean + got.var


CASES: dict[str, Function] = {
    "fused": lambda x: ek.fused_batch_norm(x, WEIGHT, BIAS, activation="relu", residual=x)[0],
    "fused, channels last": lambda x: ek.fused_batch_norm(
        x.movedim(1, -1), WEIGHT, BIAS, channel_axis=-1, activation="elu"
    )[0],
    "running statistics": running,
    "inference": inference,
    "weighted moments": weighted,
    "merged moments": merged,
    "lrn": lambda x: ek.local_response_normalization(x, depth_radius=1),
    "l2": lambda x: ek.l2_normalize(x, 1),
}


def check(function: Function, backend: str) -> None:
    torch.compiler.reset()
    x = values((4, 3, 5, 5), 1.0, 0).float().requires_grad_()
    want = function(x)
    got = torch.compile(function, backend=backend, fullgraph=True)(x)
    assert_close(got, want, 1e-5, "y")
    dy = values(tuple(want.shape), 0.0, 3).float()
    (dx,), (dx_want,) = (torch.autograd.grad(y, x, dy) for y in (got, want))
    assert_close(dx, dx_want, 1e-5, "dx")


@pytest.mark.parametrize("name", CASES)
def test_traced(name: str) -> None:
    check(CASES[name], "aot_eager")


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_compiled(name: str) -> None:
    check(CASES[name], "inductor")
