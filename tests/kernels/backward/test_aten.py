"""torch's backward kernel: half precision is summed in float32."""

import pytest
import torch

from evenkeel.kernels.backward.aten import backward
from oracles.compare import assert_close
from oracles.strategies import values


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_gradients_are_summed_in_float32(dtype: torch.dtype) -> None:
    """As they come, torch 2.13 sums transposed bfloat16 in bfloat16: 2.6e-3 off."""
    x, dy = values((4, 168), 0.0, 0).to(dtype).t(), values((4, 168), 1.0, 1).to(dtype).t()
    ones = torch.ones(4)
    dx, dweight, dbias = backward(dy, x, ones, torch.zeros(4), ones, 0.0)
    assert_close(dbias, dy.double().sum(0), 1e-6, "dbias", dtype=torch.float32)
    assert_close(dweight, (dy.double() * x.double()).sum(0), 1e-6, "dweight", dtype=torch.float32)
    assert dx.dtype == dtype
