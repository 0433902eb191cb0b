"""The plugin's two moves in one process; tests/nn/test_sync_tools.py fits with it in two."""

import pytest
import torch
from torch import nn

import evenkeel as ek
from evenkeel.errors import Misread
from evenkeel.lightning import SyncLayers


def test_layers_become_sync_and_what_they_were() -> None:
    group = object()
    layers = nn.BatchNorm1d(3), ek.BatchNorm1d(3, activation="relu"), ek.SyncBatchNorm(3)
    net, kinds = nn.Sequential(*layers), [type(layer) for layer in layers]
    plugin = SyncLayers(group)
    assert plugin.apply(net) is net
    assert [type(layer) for layer in net] == [ek.SyncBatchNorm] * 3
    assert vars(net[0])["peers"].group is group
    with torch.no_grad():  # as a fit does
        net.get_parameter("0.weight").fill_(2.0)
        net[0].running_mean = torch.full((3,), 5.0)
    assert plugin.revert(net) is net
    assert [type(layer) for layer in net] == kinds
    assert all(layer is before for layer, before in zip(net, layers, strict=True))
    assert torch.equal(layers[0].running_mean, torch.full((3,), 5.0))  # type: ignore[arg-type]
    assert torch.equal(layers[0].weight, torch.full((3,), 2.0))
    assert plugin.revert(net) is net


def test_lightnings_own_switch_is_refused_for_layers_that_torch_cannot_make() -> None:
    for layer in (ek.SyncBatchNorm(3), ek.BatchNorm1d(3, activation="relu")):
        with pytest.raises(Misread):
            nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(layer))  # type: ignore[no-untyped-call]
