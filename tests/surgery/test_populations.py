"""Conversions to several populations and back, and the other verbs on such models."""

import copy
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

import evenkeel as ek
from evenkeel.errors import BadOption
from evenkeel.nn import ConditionalBatchNorm, StreamBatchNorm
from evenkeel.surgery import convert, fold, recalibrate, report_of
from oracles.compare import assert_close
from surgery import models
from surgery.same import assert_same, scrambled

BN = nn.BatchNorm2d
X = torch.randn(6, 4, 5, 5, generator=torch.Generator().manual_seed(3)) + 1
TO: dict[str, dict[str, Any]] = {
    "fused": {},
    "frozen": {},
    "renorm": {},
    "ghost": {"ghost_size": 2},
    "streams": {"streams": 3},
    "conditional": {"conditions": 4},
}


def net() -> nn.Module:
    torch.manual_seed(0)
    body = nn.Sequential(models.Basic(), BN(4, momentum=0.3), nn.ReLU(), nn.Conv2d(4, 4, 1), BN(4))
    return scrambled(body)


PARTS = st.sampled_from(["conv", "norm", "average", "relu", "block", "plain", "elu"])


def built(parts: list[str]) -> nn.Module:
    make: dict[str, Callable[[], nn.Module]] = {
        "conv": lambda: nn.Conv2d(4, 4, 1),
        "norm": lambda: BN(4),
        "average": lambda: BN(4, momentum=None, affine=False),
        "relu": nn.ReLU,
        "block": models.Basic,
        "plain": lambda: BN(4, eps=0.1, momentum=0.5),
        "elu": nn.ELU,
    }
    torch.manual_seed(1)
    return scrambled(nn.Sequential(*(make[part]() for part in parts)))


@given(st.lists(PARTS, max_size=6), st.sampled_from(sorted(TO)), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_there_and_back_is_the_identity(
    parts: list[str], to: str, fused: bool, training: bool
) -> None:
    model = built(parts).train(training)
    made = convert(convert(model) if fused else model, to=to, **TO[to])
    back = convert(made, to="torch")
    assert str(back) == str(model)
    assert list(back.state_dict()) == list(model.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], value), name
    assert [m.training for m in back.modules()] == [m.training for m in model.modules()]
    flags = [[p.requires_grad for p in m.parameters()] for m in (back, model)]
    assert flags[0] == flags[1]
    assert_same(model, back, X, exactly=True)


@pytest.mark.parametrize("to", ["streams", "conditional"])
@pytest.mark.parametrize("fused", [False, True])
def test_every_population_begins_as_the_layer_was(to: str, fused: bool) -> None:
    model = net().eval()
    made = convert(convert(model) if fused else model, X, to=to, **TO[to])
    kind = StreamBatchNorm if to == "streams" else ConditionalBatchNorm
    assert len(report_of(made).of("replaced")) == 4
    for index in range(3):
        with ek.stream(index), ek.condition(index):
            assert_close(made(X), model(X), 1e-6, "y")
    assert sum(isinstance(part, kind) for part in made.modules()) == 4
    again = convert(made, to=to, **TO[to])
    assert sum(isinstance(part, kind) for part in again.modules()) == 4


def test_hooks_run_once_and_stay() -> None:
    calls: list[int] = []
    model = nn.Sequential(BN(4))
    model[0].register_forward_hook(lambda m, a, y: calls.append(1))
    for to in ("streams", "conditional"):
        made = convert(model, to=to, **TO[to], inplace=False)
        with ek.stream(1), ek.condition(1):
            made(X)
        convert(made, to="torch")(X)
    assert len(calls) == 4


def test_back_to_one_of_several() -> None:
    made: Any = convert(net(), to="streams", own_affine=True)
    with ek.stream(1):
        made(X + 3)
        nn.init.constant_(made[1].streams[1].weight, 7)
        want = copy.deepcopy(made).eval()(X)
    back: Any = convert(made, X, to="torch", stream=1)
    assert_close(back.eval()(X), want, 1e-6, "y")
    assert float(back[1].weight.detach()[0]) == 7
    with pytest.raises(BadOption, match="no such stream"):
        convert(made, to="torch", stream=2)
    conditional: Any = convert(net(), to="conditional", conditions=3)
    nn.init.constant_(conditional[1].bias[2], 5)
    back = convert(conditional, to="torch", condition=2)
    assert float(back[1].bias.detach()[0]) == 5


def test_recalibrate_takes_each_population_from_its_own_data() -> None:
    made: Any = convert(nn.Sequential(BN(4)), to="streams")
    for index, x in enumerate((X, X * 3 + 1)):
        with ek.stream(index):
            made = recalibrate(made, [x], layerwise=bool(index))
    for part, x in zip(made[0].streams, (X, X * 3 + 1), strict=True):
        rows = x.double().movedim(1, -1).flatten(0, -2)
        assert_close(part.running_mean.double(), rows.mean(0), 1e-6, "mean")
        assert_close(part.running_var.double(), rows.var(0), 1e-6, "var")


def test_fold_keeps_streams_apart_and_folds_under_conditions() -> None:
    model = scrambled(nn.Sequential(nn.Conv2d(4, 4, 1), BN(4))).eval()
    streams: Any = convert(model, to="streams")
    streams[1].streams[1].running_mean.add_(1)
    with ek.stream(0):
        folded = fold(streams, X)
    assert [site.kind for site in report_of(folded).sites] == ["frozen", "frozen"]
    for index in range(2):
        with ek.stream(index):
            assert_close(folded(X), streams(X), 1e-6, "y")
    conditional: Any = convert(model, to="conditional", conditions=3)
    nn.init.normal_(conditional[1].weight)
    with ek.condition(2):
        folded = fold(conditional, X)
        assert [site.kind for site in report_of(folded).sites] == ["folded"]
        assert_close(folded(X), conditional(X), 1e-6, "y")


def test_an_error_in_the_middle_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(BN(4), nn.Sequential(ek.BatchNorm2d((4, 5), channel_axis=(1, 2))))
    before, classes = copy.deepcopy(model.state_dict()), [type(m) for m in model.modules()]
    with pytest.raises(BadOption, match=r"at:  1\.0"):
        convert(model, to="conditional", conditions=3, inplace=True)
    assert [type(m) for m in model.modules()] == classes
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_torch_traces_and_exports_them() -> None:
    model = convert(net().eval(), to="streams")
    traced = torch.fx.symbolic_trace(model)
    with ek.stream(1):
        want: Tensor = model(X)
        assert_close(traced(X), want, 1e-6, "fx")
        program = torch.export.export(model, (X,))
        assert_close(program.module()(X), want, 1e-6, "export")
