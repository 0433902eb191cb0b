"""Statistics of a batch and normalization by them, against the definition in float64."""

import pytest
import torch
from torch import Tensor

from evenkeel.kernels import Call, library
from evenkeel.kernels.by_batch import ByBatch
from evenkeel.kernels.plan import plan_of
from evenkeel.views import statistics_dtype
from oracles.compare import assert_close

pytestmark = pytest.mark.skipif(bool(library.why_missing()), reason=library.why_missing() or "-")
SHAPES = ((4, 3, 5, 5), (16, 512, 8, 8), (33, 7), (2, 3, 6))  # the second needs a workspace
BUDGET = {torch.float32: 2e-6, torch.float64: 1e-13, torch.bfloat16: 1e-2, torch.float16: 2e-3}


def exact(
    x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    wide, over = x.double(), [axis for axis in range(x.ndim) if axis != 1]
    var, mean = torch.var_mean(wide, over, correction=0, keepdim=True)
    shape = mean.shape
    y = (wide - mean) / (var + 1e-3).sqrt() * weight.double().view(shape) + bias.view(shape)
    return (y if residual is None else y + residual).relu(), mean.flatten(), var.flatten()


@pytest.mark.parametrize("dtype", BUDGET)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("added", [False, True])
def test_it_is_the_definition(shape: tuple[int, ...], dtype: torch.dtype, added: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = (torch.randn(shape, generator=generator) * 2 + 3).to(dtype)
    residual = torch.randn(shape, generator=generator).to(dtype) if added else None
    wide = statistics_dtype(x)
    weight, bias = (torch.randn(shape[1], generator=generator).to(wide) for _ in range(2))
    run = ByBatch(plan_of(Call.of(x), wide, 1e-3, "relu"), weight, bias)
    for _ in range(2):  # what was packed once serves again
        y, rows = run(x, residual)
        want, mean, var = exact(x, weight, bias, residual)
        assert_close(y.double(), want, BUDGET[dtype], "y")
        tight = 1e-13 if dtype == torch.float64 else 2e-6
        assert_close(rows[0].double(), mean, tight, "mean")
        assert_close(rows[1].double(), var, tight, "var")
        x = x.flip(0).contiguous()


def test_vectors_may_be_missing() -> None:
    x = torch.randn(8, 3, 4, generator=torch.Generator().manual_seed(1))
    y, _ = ByBatch(plan_of(Call.of(x), torch.float32, 1e-3, None), None, None)(x, None)
    want = torch.nn.functional.batch_norm(x, None, None, training=True, eps=1e-3)
    assert_close(y, want, 2e-6, "y")
