"""convert(to=…): back to torch, and to layers that train in another way; there and back is the same."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from evenkeel.errors import BadOption, BadShape
from evenkeel.nn import (
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    BatchRenorm,
    FrozenBatchNorm,
    GhostBatchNorm,
    Population,
    RenormLimits,
)
from evenkeel.recipes import RECIPES
from evenkeel.recipes.recipe import Variant
from evenkeel.surgery import Conversion, convert, freeze, report_of
from oracles.compare import assert_close
from surgery import models
from surgery.same import assert_same, scrambled
from surgery.test_freeze import attributes
from surgery.test_networks import NETWORKS
from surgery.test_recalibrate import DATA

BN = nn.BatchNorm2d
WAYS: dict[str, dict[str, Any]] = {
    "fused": {},
    "frozen": {},
    "renorm": {"limits": RenormLimits(2.0, 1.0)},
    "ghost": {"ghost_size": 2},
}


def plain(model: nn.Module) -> list[Any]:
    """``attributes`` without the reports, and with every class as torch and its authors know it."""
    return [
        (path, kind, {k: v for k, v in own.items() if k != "_evenkeel_conversion"}, *rest)
        for path, kind, own, *rest in attributes(model)
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", models.CASES, ids=lambda case: case.name)
def test_there_and_back_is_the_identity(case: models.Case, way: str) -> None:
    model = scrambled(case.build())
    try:
        there = convert(model, to=way, **WAYS[way])
    except ValueError:
        assert way == "frozen"  # one that cannot be frozen
        return
    back = convert(there, to="torch")
    assert plain(back) == plain(model)
    assert_same(model, back, case.input(), exactly=True)
    assert list(back.state_dict()) == list(model.state_dict())


def test_over_several_ways() -> None:
    model = scrambled(models.Basic())
    made = convert(convert(freeze(convert(model)), to="torch"), to="ghost", ghost_size=2)
    assert plain(convert(made, to="torch")) == plain(model)
    fused = convert(model)
    again = convert(convert(fused, to="torch"))
    assert repr(again) == repr(fused)
    x = torch.randn(4, 4, 6, 6)
    assert_same(fused, again, x, exactly=True)
    back = pickle.loads(pickle.dumps(convert(fused, to="torch")))  # our own bytes
    assert_same(model, back, x, exactly=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_comes_back(name: str) -> None:
    model = NETWORKS[name][0]()
    assert plain(convert(convert(model), to="torch")) == plain(model)


def test_layers_of_ours_become_torchs_and_activations_modules() -> None:
    torch.manual_seed(0)
    model: Any = scrambled(
        nn.Sequential(
            nn.Conv2d(3, 4, 1),
            BatchNorm2d(4, activation="relu", eps=1e-3, momentum=0.01),
            nn.Conv2d(4, 4, 1),
            BatchNorm2d(4, activation="gelu"),
            nn.Flatten(),
            BatchNorm1d(144, momentum=None),
        )
    )
    back: Any = convert(model, DATA[:, :3], to="torch")
    kinds = [
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
        "Conv2d",
        "BatchNorm2d",
        "GELU",
        "Flatten",
        "BatchNorm1d",
    ]
    assert [type(m).__name__ for m in back] == kinds
    assert not any(type(m).__module__.startswith("evenkeel") for m in back.modules())
    assert list(back.state_dict()) == list(model.state_dict())
    assert back[1].eps == 1e-3
    assert back[1].momentum == 0.01
    assert back[-1].momentum is None
    assert_same(model, back, DATA)
    assert "its activation became 1_relu" in str(report_of(back))
    assert_same(back, convert(back), DATA)


def test_a_recipe_in_torchs_layers() -> None:
    """The recipes' running variance is biased, as TensorFlow's: torch has none such."""
    model = RECIPES["dnn-elu"].build(Variant())
    report = report_of(convert(model, to="torch"))
    assert {site.kind for site in report.sites} == {"kept"}
    assert "torch's layer has no running_var='biased'" in str(report)


KEEPS: dict[str, tuple[Any, str]] = {
    "any rank": (lambda: BatchNorm(3), "torch has no BatchNorm"),
    "axis": (lambda: BatchNorm2d(3, channel_axis=-1), "channel_axis=-1"),
    "rule": (lambda: BatchNorm2d(3, running=Population()), "running=Population"),
    "bias alone": (lambda: BatchNorm2d(3, scale=False), "without a weight"),
    "ghost": (lambda: GhostBatchNorm(3, ghost_size=2), "torch has no GhostBatchNorm"),
    "frozen": (lambda: FrozenBatchNorm(3), "torch has no FrozenBatchNorm"),
}


@pytest.mark.parametrize("name", KEEPS)
def test_what_torch_lacks_stays(name: str) -> None:
    build, says = KEEPS[name]
    model = nn.Sequential(build())
    back: Any = convert(model, to="torch")
    assert type(back[0]) is type(model[0])
    assert says in str(report_of(back))


def test_an_activation_without_a_place_stays() -> None:
    inner: Any = models.Body(a=BatchNorm2d(3, activation="relu"))
    assert "has no place" in str(report_of(convert(inner, to="torch")))
    hooked = nn.Sequential(BatchNorm2d(3, activation="relu"))
    hooked[0].register_forward_hook(lambda m, a, y: None)
    assert "carries hooks" in str(report_of(convert(hooked, to="torch")))
    taken = nn.Sequential()
    taken.add_module("a", BatchNorm2d(3, activation="relu"))
    taken.add_module("a_relu", nn.ReLU())
    assert "already a module a_relu" in str(report_of(convert(taken, to="torch")))


@pytest.mark.parametrize("way", ["frozen", "renorm", "ghost"])
def test_the_same_in_inference(way: str) -> None:
    model = scrambled(convert(models.Basic()))
    x = torch.randn(4, 4, 6, 6)
    made: Any = convert(model, x, to=way, **WAYS[way])
    assert_close(made.eval()(x), copy.deepcopy(model).eval()(x), 1e-6, "y")
    assert list(made.state_dict()) == list(model.state_dict())


def test_what_a_layer_of_another_kind_gets() -> None:
    source = nn.Sequential(
        BN(3, eps=1e-3, momentum=0.2, affine=False), BatchNorm2d(3, activation="relu")
    )
    made: Any = convert(source, to="ghost", ghost_size=5, groups="strided")
    assert made[0].ghost_size == made[1].ghost_size == 5
    assert made[0].spec.eps == 1e-3
    assert made[0].momentum == 0.2
    assert made[0].weight is None
    assert made[1].spec.activation == "relu"
    first = copy.deepcopy(made[1]).train()
    want = torch.cat(
        [
            torch.relu(nn.functional.batch_norm(p, None, None, training=True))
            for p in (DATA[0:10:2], DATA[1:10:2])
        ]
    )
    got = first(DATA[:10])
    assert_close(torch.cat([got[0::2], got[1::2]]), want, 1e-5, "y")
    renorm: Any = convert(scrambled(source), to="renorm", renorm_momentum=0.5)
    layer: Any = renorm[1]
    assert type(layer).__name__ == BatchRenorm.__name__
    assert torch.equal(layer.renorm_mean, layer.running_mean)
    assert_close(layer.renorm_std, (layer.running_var + 1e-5).sqrt(), 1e-6, "std")
    assert list(convert(renorm, to="torch").state_dict()) == list(source.state_dict())
    frozen: Any = convert(source, to="frozen", train_affine=True)
    assert frozen[1].weight.requires_grad


def test_some_stay() -> None:
    model = nn.Sequential(
        nn.SyncBatchNorm(3),
        BatchNorm2d(3, running=Population()),
        BN(3, track_running_stats=False),
        models.parametrized()[0],  # type: ignore[index]
    )
    report = report_of(convert(model, to="renorm"))
    for says in ("from all workers", "Population", "keeps none", "parametrized"):
        assert says in str(report)


@pytest.mark.parametrize("way", ["torch", "frozen", "renorm", "ghost"])
def test_an_error_in_the_middle_leaves_the_model_as_it_was(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = scrambled(
        nn.Sequential(convert(models.Basic()), BatchNorm2d(4, activation="relu"), BN(4))
    )
    before, state = attributes(model), copy.deepcopy(model.state_dict())
    tensors = [*model.parameters(), *model.buffers()]

    def fails(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Conversion, "__init__", fails)
    with pytest.raises(KeyboardInterrupt):
        convert(model, inplace=True, to=way, **WAYS.get(way, {}))
    assert attributes(model) == before
    assert all(
        a is b for a, b in zip([*model.parameters(), *model.buffers()], tensors, strict=True)
    )
    assert all(torch.equal(v, state[n]) for n, v in model.state_dict().items())


def test_options_are_checked() -> None:
    model = nn.Sequential(BN(3))
    with pytest.raises(BadOption, match="no such conversion"):
        convert(model, to="onnx")
    with pytest.raises(BadOption, match="options of that kind"):
        convert(model, to="torch", ghost_size=2)
    with pytest.raises(BadOption, match=r"(?s)ghost_size counts examples.*at:  0"):
        convert(model, to="ghost", ghost_size=0, inplace=True)
    with pytest.raises(TypeError):
        convert(model, to="ghost", inplace=True)
    assert type(model[0]) is BN
    ghost: Any = convert(model, to="ghost", ghost_size=4)
    with pytest.raises(BadShape):
        ghost(DATA[:3])
