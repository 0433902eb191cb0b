"""mnist-estimator: no γ, the floor of eps, and the decaying rate."""

import math

import pytest
import torch
from torch import nn

from evenkeel.nn import BatchNorm
from evenkeel.recipes import MNIST_ESTIMATOR, Variant


def test_batch_norm_has_no_scale_and_the_floor() -> None:
    network = MNIST_ESTIMATOR.build(Variant())
    norms = [m for m in network.modules() if isinstance(m, BatchNorm)]
    assert all(m.weight is None and m.bias is not None and m.momentum == 0.01 for m in norms)
    assert [(m.spec.eps, m.spec.unbiased) for m in norms] == [(1.001e-5, True)] * 3 + [
        (1e-5, False)
    ]


def test_parameters() -> None:
    network = MNIST_ESTIMATOR.build(Variant())
    kernels = 36 * 8 + 25 * 8 * 12 + 16 * 12 * 16 + 784 * 64 + 64 * 10
    assert sum(p.numel() for p in network.parameters()) == kernels + (8 + 12 + 16 + 64) + 10
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.3]


def test_initial_weights() -> None:
    torch.manual_seed(0)
    network = MNIST_ESTIMATOR.build(Variant())
    dense, logits = (network.get_parameter(f"{n}.weight").detach() for n in ("dense.0", "logits"))
    assert 0.19 < float(dense.abs().max()) <= 0.2
    assert 0.27 < float(logits.abs().max()) <= math.sqrt(6 / 74)


@pytest.mark.parametrize("step", [0, 1, 100, 600, 6000, 100_000])
def test_schedule(step: int) -> None:
    assert MNIST_ESTIMATOR.schedule is not None
    rate = MNIST_ESTIMATOR.lr * MNIST_ESTIMATOR.schedule(step, 6000)
    # tf.train.exponential_decay: rate · decay_rate ** (step / decay_steps)
    assert rate == pytest.approx(0.0001 + 0.02 * (1 / math.e) ** (step / 600), rel=1e-12)
