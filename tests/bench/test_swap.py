import pytest
import torch
from torch import nn

import evenkeel
from evenkeel.bench.nets import outcome
from evenkeel.bench.networks import NETS
from evenkeel.bench.oracle import errors_of
from evenkeel.bench.swap import on_torch


@pytest.mark.parametrize("name", ["conv20-nchw", "conv20-nhwc"])
def test_both_networks_compute_the_same(name: str) -> None:
    torch.manual_seed(0)
    net = NETS[name]
    plain = on_torch(net.build())
    ours = evenkeel.convert(plain)
    kinds = [[type(layer) for layer in model.modules()] for model in (plain, ours)]
    assert evenkeel.BatchNorm2d not in kinds[0]
    assert nn.BatchNorm2d not in kinds[1]
    assert kinds[1].count(evenkeel.BatchNorm2d) == 19
    assert nn.ReLU not in kinds[1]
    x = net.batch()[0].double()
    plain, ours = plain.double(), ours.double()
    want = outcome(net, plain, plain, x)
    assert max(errors_of(outcome(net, ours, ours, x), want).values()) < 1e-9


def test_the_model_stays_as_it_is() -> None:
    norm, relu = nn.BatchNorm2d(3), nn.ReLU()
    model = nn.Sequential(norm, relu)
    plain = list(on_torch(model).children())
    assert isinstance(plain[1], nn.ReLU)
    assert plain[1].inplace
    assert list(model.children()) == [norm, relu]
    assert not relu.inplace
