"""A weight computed from the same input: its own way to x is not counted twice."""

import pytest
import torch

from evenkeel.functional import fused_batch_norm


@pytest.mark.parametrize("training", [True, False])
def test_a_gradient_to_be_differentiated_again_is_the_same(training: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 4, 4, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    mean, variance = (None, None) if training else (x.new_zeros(4), x.new_ones(4))
    weight, bias = x.mean((0, 2, 3)), x.amax((0, 2, 3))
    y, _, _ = fused_batch_norm(x, weight, bias, mean, variance, training=training)
    dy = torch.randn(y.shape, generator=generator, dtype=y.dtype)
    (plain,) = torch.autograd.grad(y, x, dy, retain_graph=True)
    (again,) = torch.autograd.grad(y, x, dy, create_graph=True)
    assert torch.allclose(plain, again, rtol=1e-10)
