"""FrozenBatchNorm: nothing thaws it but unfreeze, and unfreeze gives back exactly what was frozen."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenkeel.errors import BadOption, Misread, NoStatistics
from evenkeel.nn import BatchNorm, BatchNorm2d, FrozenBatchNorm, Population
from nn.rows import ROWS
from nn.twin import data
from oracles.compare import assert_close

SHAPE = (8, 3, 4, 5)
Make = Callable[[], nn.Module]
KINDS: dict[str, Make] = {
    "torch 1d": lambda: nn.BatchNorm1d(3, momentum=0.37),
    "torch 2d": lambda: nn.BatchNorm2d(3, eps=0.01, momentum=0.37),
    "torch 3d": lambda: nn.BatchNorm3d(3, momentum=None),
    "torch sync": lambda: nn.SyncBatchNorm(3, momentum=0.37),
    "torch, no affine": lambda: nn.BatchNorm2d(3, affine=False),
    "torch, no bias": lambda: nn.BatchNorm2d(3, bias=False),
    **{
        name: row.layer
        for name, row in ROWS.items()
        if issubclass(type(row.layer()), BatchNorm) and row.layer().running_mean is not None
    },
}
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


def input_of(layer: nn.Module) -> Tensor:
    """An input that the layer takes."""
    for row in ROWS.values():
        if isinstance(layer, BatchNorm) and getattr(row.layer(), "spec", None) == layer.spec:
            return row.input()
    sizes: dict[type[nn.Module], tuple[int, ...]]
    sizes = {nn.BatchNorm1d: (8, 3), nn.BatchNorm3d: (4, 3, 2, 3, 2)}
    return data(sizes.get(type(layer), SHAPE), torch.float32)[0]


def described(layer: nn.Module) -> dict[str, Any]:
    """Everything that makes a layer what it is, but its tensors and its mode."""
    left_out = ("_parameters", "_buffers", "training")
    return {name: value for name, value in vars(layer).items() if name not in left_out}


def state(layer: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in layer.state_dict().items()}


def assert_same_state(got: nn.Module, want: dict[str, Tensor]) -> None:
    assert list(got.state_dict()) == list(want)
    for name, tensor in got.state_dict().items():
        assert torch.equal(tensor, want[name]), name


@kinds
def test_frozen_is_inference_in_every_mode(make: Make) -> None:
    layer = make()
    x = input_of(layer)
    layer(x)
    want, before = layer.eval()(x), state(layer)
    model = nn.Sequential(FrozenBatchNorm.freeze(layer))
    for training in (True, False):
        assert_close(model.train(training)(x), want, 1e-6, "y")
    assert_same_state(model[0], before)


@kinds
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("via", ["itself", "deepcopy", "pickle"])
def test_exact_round_trip(make: Make, training: bool, via: str) -> None:
    layer = make().train(training)
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(name == "weight")
    x, parameters, flags = input_of(layer), dict(layer.named_parameters()), {}
    layer.train()(x)
    layer.train(training)
    flags = {name: p.requires_grad for name, p in parameters.items()}
    want, before = described(copy.deepcopy(layer)), state(layer)
    reference = copy.deepcopy(layer)

    frozen = FrozenBatchNorm.freeze(layer)
    if via == "deepcopy":
        frozen = copy.deepcopy(frozen)
    elif via == "pickle":
        frozen = pickle.loads(pickle.dumps(frozen))
    frozen(x)
    back = frozen.unfreeze()

    assert type(back) is type(layer)
    assert back.training is training
    assert repr(back) == repr(reference)
    assert repr(described(back)) == repr(want)
    assert_same_state(back, before)
    assert {name: p.requires_grad for name, p in back.named_parameters()} == flags
    if via == "itself":
        assert all(p is parameters[name] for name, p in back.named_parameters())
    other = x * 2 + 1
    assert torch.equal(back.train()(other), reference.train()(other))
    assert_same_state(back, state(reference))


def test_while_frozen_the_parameters_keep_their_identity_and_stop_learning() -> None:
    layer = BatchNorm2d(3)
    assert layer.weight is not None
    assert layer.bias is not None
    layer.bias.requires_grad_(False)
    frozen = FrozenBatchNorm.freeze(layer)
    assert frozen.weight is layer.weight
    assert frozen.bias is layer.bias
    assert not any(p.requires_grad for p in frozen.parameters())
    trainable = FrozenBatchNorm.freeze(frozen.unfreeze(), train_affine=True)
    assert {n: p.requires_grad for n, p in trainable.named_parameters()} == {
        "weight": True,
        "bias": False,
    }


def test_gradients_reach_the_input_and_trainable_parameters() -> None:
    layer = FrozenBatchNorm(3)
    x = data(SHAPE, torch.float32)[0].requires_grad_()
    layer(x).square().sum().backward()
    assert x.grad is not None
    assert all(p.grad is not None for p in layer.parameters())


def test_hooks_come_back_and_can_still_be_removed() -> None:
    layer, seen = BatchNorm2d(3), []
    handle = layer.register_forward_hook(lambda *_: seen.append("hook"))
    frozen = FrozenBatchNorm.freeze(layer)
    x = data(SHAPE, torch.float32)[0]
    frozen(x)
    assert seen == []
    back = frozen.unfreeze()
    back(x)
    assert seen == ["hook"]
    handle.remove()
    back(x)
    assert seen == ["hook"]


def test_what_happens_to_the_frozen_layer_happens_to_the_layer_it_holds() -> None:
    frozen = (
        FrozenBatchNorm.freeze(BatchNorm2d(3, running=Population(), momentum=0.1)).double().eval()
    )
    other = BatchNorm2d(3, running=Population(), dtype=torch.float64)
    other(data(SHAPE)[0])
    frozen.load_state_dict(other.state_dict(), strict=True)
    back = frozen.unfreeze()
    assert not back.training
    assert_same_state(back, state(other))


def test_narrowing_keeps_a_frozen_population_exact() -> None:
    layer = BatchNorm2d(3, running=Population())
    layer(data(SHAPE, torch.float32)[0])
    before = layer.state_dict()["population_m2"].clone()
    back = FrozenBatchNorm.freeze(layer).half().unfreeze()
    assert torch.equal(back.state_dict()["population_m2"], before)


def test_calls_written_for_the_layer_still_work() -> None:
    frozen, x = FrozenBatchNorm.freeze(BatchNorm2d(3)), data(SHAPE, torch.float32)[0]
    mask = torch.ones(8, 4, 5, dtype=torch.bool)
    assert torch.equal(frozen(x, mask=mask), frozen(x))
    assert torch.equal(frozen(x, weights=mask.float()), frozen(x))
    assert_close(frozen(x, residual=x), frozen(x) + x, 1e-6, "y")


def test_built_frozen() -> None:
    layer = FrozenBatchNorm(3, eps=0.01, activation="relu")
    x = data(SHAPE, torch.float32)[0]
    assert_close(layer(x), torch.relu(x / (1 + 0.01) ** 0.5), 1e-6, "y")
    assert repr(layer) == "FrozenBatchNorm(3, eps=0.01, activation='relu')"
    with pytest.raises(BadOption, match="built frozen"):
        layer.unfreeze()


class WithActivation(nn.BatchNorm2d):
    """A layer of another library, whose forward does more than torch's."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).relu()


class Named(nn.BatchNorm2d):
    """A subclass that does what torch's class does."""


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: nn.Linear(3, 3), BadOption),
        (lambda: nn.GroupNorm(1, 3), BadOption),
        (lambda: nn.InstanceNorm2d(3, track_running_stats=True), BadOption),
        (lambda: WithActivation(3), BadOption),
        (lambda: nn.BatchNorm2d(3, track_running_stats=False), NoStatistics),
        (lambda: BatchNorm2d(3, track_running_stats=False), NoStatistics),
    ],
)
def test_layers_that_cannot_be_frozen(make: Make, error: type[Exception]) -> None:
    layer = make()
    flags = [p.requires_grad for p in layer.parameters()]
    with pytest.raises(error):
        FrozenBatchNorm.freeze(layer)
    assert [p.requires_grad for p in layer.parameters()] == flags


def test_a_subclass_in_name_alone_can_be_frozen() -> None:
    assert type(FrozenBatchNorm.freeze(Named(3)).unfreeze()) is Named


def test_folding_tools_read_eps_only_where_that_is_right() -> None:
    assert FrozenBatchNorm(3, eps=0.01).eps == 0.01
    for layer in (FrozenBatchNorm(3, activation="relu"), FrozenBatchNorm(3, channel_axis=-1)):
        with pytest.raises(Misread):
            _ = layer.eps
