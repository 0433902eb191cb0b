"""convert to SyncBatchNorm and back: paths, activation, group, hooks and tensors."""

from typing import Any

import pytest
import torch
from torch import nn

import evenkeel as ek
from evenkeel.errors import BadOption
from evenkeel.surgery import report_of


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


def test_sync_true_fuses_first() -> None:
    group, x = object(), torch.randn(4, 2, 5, 5)
    sync: Any = ek.convert(net(), sync=True, group=group)
    assert [type(sync[k]) for k in (1, 2, 3)] == [ek.SyncBatchNorm, nn.Identity, ek.SyncBatchNorm]
    assert [sync[k].peers.group for k in (1, 3)] == [group] * 2
    assert [sync[k].place for k in (1, 3)] == ["1", "3"]
    said = {one.path: (one.kind, one.into) for one in report_of(sync).sites}
    assert said == {
        "1": ("fused", "SyncBatchNorm(activation='relu')"),
        "3": ("replaced", "SyncBatchNorm"),
    }
    first = net()
    sync = ek.convert(first, x, sync=True)
    assert torch.allclose(sync(x), first(x), atol=1e-6)
    back: Any = ek.convert(sync, to="torch")
    assert [type(part) for part in back] == [type(part) for part in first]
    plain: Any = ek.convert(first, sync=False)
    assert type(plain[1]) is ek.BatchNorm2d


def test_layers_that_are_ours_already_are_made_sync() -> None:
    sync: Any = ek.convert(ek.convert(net()), sync=True)
    assert [type(sync[k]) for k in (1, 3)] == [ek.SyncBatchNorm] * 2
    assert sync[1].spec.activation == "relu"
    assert all(one.into == "SyncBatchNorm" for one in report_of(sync).sites)


def test_torchs_synchronized_layers_keep_their_group_and_come_back() -> None:
    group = object()
    theirs = nn.SyncBatchNorm(3, eps=0.1, momentum=None, process_group=group)
    sync: Any = ek.convert(nn.Sequential(theirs), to="sync")
    assert type(sync[0]) is ek.SyncBatchNorm
    assert (sync[0].spec.eps, sync[0].momentum) == (0.1, None)
    assert sync[0].peers.group.__class__ is object
    other = object()
    again: Any = ek.convert(nn.Sequential(theirs), sync=True, group=other, inplace=True)
    assert again[0].peers.group is other
    back: Any = ek.convert(again, to="torch", inplace=True)
    assert back[0] is theirs
    assert type(back[0]) is nn.SyncBatchNorm
    assert back[0].process_group is group
    assert "as it was" in str(report_of(back))


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (ek.GhostBatchNorm(3, ghost_size=2), "by themselves"),
        (ek.BatchRenorm(3), "instead"),
        (ek.FrozenBatchNorm(3), "no statistics"),
    ],
)
def test_layers_of_another_kind_stay_and_the_report_says_why(layer: nn.Module, why: str) -> None:
    sync: Any = ek.convert(nn.Sequential(layer), to="sync")
    (one,) = report_of(sync).sites
    assert type(sync[0]) is type(layer)
    assert one.kind == "kept"
    assert why in one.reason


def test_other_options_are_refused() -> None:
    with pytest.raises(BadOption, match="sync=True"):
        ek.convert(net(), group=object())
    with pytest.raises(BadOption, match="no such conversion"):
        ek.convert(net(), to="streams", streams=2, sync=True)
    with pytest.raises(BadOption, match="no such conversion"):
        ek.convert(net(), to="sync", ghost_size=3)
