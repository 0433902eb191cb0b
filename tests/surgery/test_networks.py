"""Real networks with random weights: how much of each is fused, and that it computes the same."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from evenkeel.nn import BatchNorm
from evenkeel.surgery import convert, report_of
from surgery.same import assert_same, randomized


def _built(name: str, **options: Any) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{name}Config")(**options)
    torch.manual_seed(0)
    model: nn.Module = getattr(transformers, f"{name}ForImageClassification")(config)
    return randomized(model)


def _resnet(kind: str) -> nn.Module:
    sizes = {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [2, 1]}
    return _built("ResNet", layer_type=kind, **sizes)


def _mobilenet() -> nn.Module:
    return _built(
        "MobileNetV2",
        depth_multiplier=0.1,
        min_depth=4,
        depth_divisible_by=4,
        finegrained_output=False,
        first_layer_is_expansion=False,
        image_size=32,
        classifier_dropout_prob=0.0,
    )


def _efficientnet() -> nn.Module:
    return _built(
        "EfficientNet",
        width_coefficient=0.15,
        depth_coefficient=0.2,
        image_size=32,
        hidden_dim=192,
        dropout_rate=0.2,
        drop_connect_rate=0.2,
    )


def _regnet(kind: str) -> nn.Module:
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "groups_width": 4}
    return _built("RegNet", layer_type=kind, **sizes)


# Network, layers, of these fused, of these with their sum.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, int, int]] = {
    # 1 stem, 3 blocks; 2 shortcuts are the other summand of a fused sum.
    "resnet basic": (lambda: _resnet("basic"), 9, 7, 3),
    "resnet bottleneck": (lambda: _resnet("bottleneck"), 12, 10, 3),
    # Every layer with an activation; the projections have none.
    "mobilenet v2": (_mobilenet, 53, 36, 0),
    # As before; the encoder's last layer stands in a forward with optional arguments.
    "efficientnet": (_efficientnet, 22, 14, 0),
    "regnet x": (lambda: _regnet("x"), 12, 10, 3),
    "regnet y": (lambda: _regnet("y"), 12, 10, 3),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_fused_and_computes_the_same(name: str) -> None:
    build, layers, fused, sums = NETWORKS[name]
    model = build()
    x = torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    converted = convert(model)
    report = report_of(converted)
    assert len(report.sites) == layers, str(report)
    assert len(report.of("fused")) == fused, str(report)
    assert len([s for s in report.sites if "residual" in s.into]) == sums, str(report)
    assert not report.of("kept")
    norms = [m for m in converted.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert all(isinstance(m, BatchNorm) for m in norms)
    assert sum(m.spec.activation is not None for m in norms if isinstance(m, BatchNorm)) == fused
    assert_same(model, converted, x)
    assert list(converted.state_dict()) == list(model.state_dict())
    assert type(converted) is type(model)


def test_a_network_with_a_probe_in_place_is_pickled_and_loaded() -> None:
    model = _resnet("basic")
    twin = copy.deepcopy(model)
    x = torch.randn(4, 3, 32, 32)
    assert convert(model, {"pixel_values": x}, inplace=True) is model
    back = pickle.loads(pickle.dumps(model))  # our own bytes
    assert_same(model, back, x, exactly=True)
    back.load_state_dict(twin.state_dict())
    assert_same(twin, back, x)
