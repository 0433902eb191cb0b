"""convnet-lrn: TFLearn's normalization, and batch normalization in its place."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from evenkeel.nn import BatchNorm
from evenkeel.recipes import CONVNET_LRN, Variant
from evenkeel.recipes.convnet_lrn import LocalResponseNorm


def test_default_is_the_original() -> None:
    network = CONVNET_LRN.build(CONVNET_LRN.default)
    assert not [m for m in network.modules() if isinstance(m, BatchNorm)]
    assert [type(network.get_submodule(f"norm{i}")) for i in (1, 2)] == [LocalResponseNorm] * 2


def test_normalization_is_tensorflows(oracle: Callable[[str], np.ndarray[Any, Any]]) -> None:
    case = "lrn/r5_b1_a0.0001_be0.75/"
    x, y = (torch.from_numpy(oracle(case + k)).permute(0, 3, 1, 2) for k in "xy")
    torch.testing.assert_close(LocalResponseNorm()(x), y, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(nn.LocalResponseNorm(11, 1e-4, 0.75, 1.0)(x), y, rtol=1e-5, atol=1e-6)


def test_batch_norm_stands_where_the_other_stood() -> None:
    original = [name for name, _ in CONVNET_LRN.build(Variant(False)).named_children()]
    network = CONVNET_LRN.build(Variant(placement="after"))
    assert [name for name, _ in network.named_children()] == original
    assert original.index("norm1") == original.index("pool1") + 1
    norms = [network.get_submodule(f"norm{i}") for i in (1, 2)]
    assert all(
        isinstance(m, BatchNorm) and m.momentum == 0.1 and not m.spec.unbiased for m in norms
    )


def test_before_stands_between_convolution_and_relu() -> None:
    network = CONVNET_LRN.build(Variant(placement="before"))
    assert not [name for name, _ in network.named_children() if name.startswith("norm")]
    norm = network.get_submodule("conv1.1")
    assert isinstance(norm, BatchNorm)
    assert norm.spec.activation == "relu"


def test_only_kernels_of_convolutions_are_regularized() -> None:
    network = CONVNET_LRN.build(CONVNET_LRN.default)
    decayed, others = CONVNET_LRN.optimizer(network, 0.01).param_groups
    assert decayed["weight_decay"] == 0.001
    assert others["weight_decay"] == 0.0
    assert [p.shape for p in decayed["params"]] == [(32, 1, 3, 3), (64, 32, 3, 3)]


def test_parameters_and_initial_weights() -> None:
    torch.manual_seed(0)
    network = CONVNET_LRN.build(CONVNET_LRN.default)
    dense = 3136 * 128 + 128 + 128 * 256 + 256 + 256 * 10 + 10
    assert sum(p.numel() for p in network.parameters()) == 9 * 32 + 32 + 9 * 32 * 64 + 64 + dense
    wide, second = (network.get_submodule(f"{n}.0").weight for n in ("dense1", "conv2"))
    assert isinstance(wide, torch.Tensor)
    assert isinstance(second, torch.Tensor)
    assert 0.039 < float(wide.detach().abs().max()) <= 0.04
    assert 0.1 < float(second.detach().abs().max()) <= (3 / 288) ** 0.5
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.2, 0.2]
