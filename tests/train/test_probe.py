import numpy as np
import pytest
import torch
from torch import nn

from evenkeel.nn import BatchNorm1d, BatchNorm2d
from evenkeel.train.probe import Probe
from evenkeel.train.records import Percentiles


def seen(network: nn.Module, path: str, x: torch.Tensor) -> Percentiles:
    probe = Probe(network, path)
    probe.wanted = True
    network(x)
    return probe.percentiles(7)


def test_before_an_activation_module_it_is_the_first_unit_of_its_input() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid())
    x = torch.randn(500, 4)
    expected = np.percentile(network[0](x)[:, 0].detach().numpy(), [15, 50, 85])
    found = seen(network, "1", x)
    assert found.step == 7
    assert [found.p15, found.p50, found.p85] == pytest.approx(expected, abs=1e-5)


def test_positions_of_a_convolution_count_like_images() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU())
    x = torch.randn(5, 1, 8, 8)
    expected = np.percentile(network[0](x)[:, 0].detach().numpy(), [15, 50, 85])
    found = seen(network, "1", x)
    assert [found.p15, found.p50, found.p85] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "relu", None])
def test_of_a_fused_layer_it_is_what_the_activation_gets(activation: str | None) -> None:
    torch.manual_seed(0)
    x = 5 * torch.randn(64, 3, 4, 4) + 100
    layer = BatchNorm2d(3, activation=activation)
    plain = nn.BatchNorm2d(3)
    for module in (layer, plain):
        nn.init.constant_(module.weight, -1.5)
        nn.init.constant_(module.bias, 0.25)
    expected = np.percentile(plain(x)[:, 0].detach().numpy(), [15, 50, 85])
    found = seen(layer, "", x)
    assert [found.p15, found.p50, found.p85] == pytest.approx(expected, abs=1e-4)


def test_a_fused_layer_without_scale_and_with_channels_last() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 4, 4, 3) * torch.tensor([2.0, 1, 1]) + torch.tensor([50.0, 0, 0])
    layer = BatchNorm2d(3, activation="relu", scale=False, channel_axis=-1)
    assert layer.bias is not None
    nn.init.constant_(layer.bias, 0.5)
    first = x[..., 0].numpy().astype(np.float64)
    y = (first - first.mean()) / np.sqrt(first.var() + 1e-5) + 0.5
    found = seen(layer, "", x)
    assert [found.p15, found.p50, found.p85] == pytest.approx(
        np.percentile(y, [15, 50, 85]), abs=1e-5
    )


def test_it_changes_no_number_and_looks_only_when_wanted() -> None:
    torch.manual_seed(0)
    layer = BatchNorm1d(5, activation="sigmoid")
    network = nn.Sequential(nn.Linear(4, 5), layer, nn.Linear(5, 1))
    x = torch.randn(20, 4)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    expected = network(x)
    expected.sum().backward()
    gradients = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    after = {name: value.clone() for name, value in network.state_dict().items()}

    network.load_state_dict(state)
    network.zero_grad()
    probe = Probe(network, "1")
    network(x)
    assert np.isnan(probe.percentiles(1).p50)
    network.load_state_dict(state)
    probe.wanted = True
    y = network(x)
    y.sum().backward()
    assert torch.equal(y, expected)
    assert all(
        torch.equal(a, b.grad)
        for a, b in zip(gradients, network.parameters(), strict=True)
        if b.grad is not None
    )
    assert all(torch.equal(value, after[name]) for name, value in network.state_dict().items())


def test_values_are_used_once_and_the_hook_can_be_removed() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid())
    probe = Probe(network, "1")
    probe.wanted = True
    network(torch.randn(8, 4))
    assert not np.isnan(probe.percentiles(1).p50)
    assert np.isnan(probe.percentiles(2).p50)
    probe.remove()
    network(torch.randn(8, 4))
    assert np.isnan(probe.percentiles(3).p50)
