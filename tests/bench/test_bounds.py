import copy

import torch
from torch import nn

import evenkeel as ek
from evenkeel.bench.bounds import Copies, PassingLayer, normalized, passing
from evenkeel.bench.nets import limits, start
from evenkeel.bench.networks import NETS


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = ek.BatchNorm1d(3, activation="relu"), ek.BatchNorm1d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.second(self.first(x), residual=x)
        return y


def test_a_passing_layer_is_the_identity_in_both_directions() -> None:
    model = passing(Residual())
    x = torch.randn(5, 3, requires_grad=True)
    model(x).backward(torch.ones(5, 3))
    assert torch.equal(model(x), x)
    assert x.grad is not None
    assert torch.equal(x.grad, torch.full((5, 3), 2.0))  # through both layers, and as the residual
    assert all(p.grad is not None and p.grad.shape == (3,) for p in model.parameters())


def test_the_model_stays_as_it_is() -> None:
    model = Residual()
    before = copy.deepcopy(model.state_dict())
    emptied = passing(model)
    copies = Copies(model, torch.randn(5, 3))
    assert copies.lap().total > 0
    assert not any(isinstance(layer, PassingLayer) for layer in model.modules())
    assert not any(isinstance(layer, ek.BatchNorm) for layer in emptied.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.first._forward_pre_hooks


def test_every_normalized_tensor_is_copied() -> None:
    model, x = Residual(), torch.randn(5, 3)
    first, second = normalized(copy.deepcopy(model), x)
    assert torch.equal(first, x)
    assert torch.allclose(second, model.first(x))


def test_a_networks_limits_run() -> None:
    net = NETS["conv20-nchw"]
    bounds = limits(net, ek.convert(start(net)))
    assert set(bounds) == {"copy", "empty call"}
    assert all(side.lap().total > 0 for side in bounds.values())
