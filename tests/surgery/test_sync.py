"""convert to SyncBatchNorm and back: paths, activation, group, hooks and tensors."""

from typing import Any

import pytest
import torch
from torch import nn

import evenkeel as ek
from evenkeel.errors import BadOption


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3, 0.1))


@pytest.mark.parametrize("fused", [False, True])
def test_to_sync_and_back(fused: bool) -> None:
    first = net()
    model: Any = ek.convert(first) if fused else first
    x = torch.randn(4, 2, 5, 5)
    sync: Any = ek.convert(model, x, to="sync")
    assert [type(sync[k]) for k in (1, 3)] == [ek.SyncBatchNorm] * 2
    assert [sync[k].place for k in (1, 3)] == ["1", "3"]
    assert sync[1].spec.activation == ("relu" if fused else None)
    assert torch.allclose(sync(x), model(x), atol=1e-6)
    back: Any = ek.convert(sync, to="torch")
    assert [type(part) for part in back] == [type(part) for part in first]
    assert back[3].eps == 0.1
    assert torch.equal(back[1].running_var, sync[1].running_var)
    assert torch.allclose(back.eval()(x), sync.eval()(x), atol=1e-6)


def test_the_group_is_given_to_every_layer_and_kept() -> None:
    group = object()
    sync: Any = ek.convert(net(), to="sync", group=group)
    assert sync[1].peers.group is group
    assert ek.convert(sync, to="sync")[1].peers.group is group  # type: ignore[index]


def test_the_rule_of_the_statistics_is_kept() -> None:
    layer = ek.BatchNorm1d(3, running=ek.Population(), running_var="biased", channel_axis=-1)
    sync: Any = ek.convert(nn.Sequential(layer), to="sync")
    assert sync[0].spec.running == ek.Population()
    assert not sync[0].spec.unbiased
    assert sync[0].spec.channel_axis == -1


def test_other_options_are_refused() -> None:
    with pytest.raises(BadOption, match="no such conversion"):
        ek.convert(net(), to="sync", ghost_size=3)
