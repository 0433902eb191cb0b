"""freeze and unfreeze: sticky through train(), and an exact round trip."""

import copy
import pickle
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import nn

import evenkeel.nn
from evenkeel.errors import BadOption, NoStatistics
from evenkeel.nn import BatchNorm2d, BatchRenorm, FrozenBatchNorm, GhostBatchNorm
from evenkeel.surgery import convert, freeze, unfreeze
from surgery import models
from surgery.same import assert_same, scrambled
from surgery.test_recalibrate import DATA

BN = nn.BatchNorm2d
PARTS = (
    lambda: BN(3),
    lambda: BN(3, momentum=None),
    lambda: BN(3, eps=1e-3, momentum=0.3, affine=False),
    lambda: BatchNorm2d(3, activation="relu", running_var="biased"),
    lambda: BatchRenorm(3),
    lambda: GhostBatchNorm(3, ghost_size=2),
    lambda: FrozenBatchNorm(3),
    lambda: nn.SyncBatchNorm(3),
    nn.ReLU,
    nn.Dropout,
    lambda: nn.Sequential(BN(3).eval(), nn.Conv2d(3, 3, 1)),
    lambda: BN(3).requires_grad_(False),
)


def attributes(model: nn.Module) -> list[Any]:
    """Everything that a model is, but its numbers: classes, attributes, flags, names of tensors."""
    seen = []
    for path, m in model.named_modules():
        own = {k: v for k, v in vars(m).items() if not isinstance(v, dict)}
        tensors = {**m._parameters, **m._buffers}
        flags = {n: (t is None or (t.dtype, t.requires_grad)) for n, t in tensors.items()}
        seen.append((path, type(m), own, flags, list(m._modules)))
    return seen


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, len(PARTS) - 1), min_size=1, max_size=5), st.booleans(), st.booleans()
)
def test_there_and_back_is_the_identity(order: list[int], affine: bool, inplace: bool) -> None:
    torch.manual_seed(0)
    model = scrambled(nn.Sequential(*(PARTS[i]() for i in order)))
    before, state = attributes(model), copy.deepcopy(model.state_dict())
    frozen = freeze(model, train_affine=affine, inplace=inplace)
    assert list(frozen.state_dict()) == list(state)
    back = unfreeze(frozen, inplace=inplace)
    assert attributes(back) == before
    for name, value in back.state_dict().items():
        assert torch.equal(value, state[name])


def test_frozen_layers_stay_through_train_and_compute_inference() -> None:
    model = scrambled(nn.Sequential(BN(3), nn.Conv2d(3, 3, 1), BN(3)))
    frozen = freeze(model).train()
    want = copy.deepcopy(model).eval()(DATA)
    assert torch.allclose(frozen(DATA), want, atol=1e-5)
    state = {n: v for n, v in frozen.state_dict().items() if "running" in n}
    assert all(torch.equal(v, model.state_dict()[n]) for n, v in state.items())
    assert [p.requires_grad for p in frozen[0].parameters()] == [False, False]  # type: ignore[index]
    open_: Any = freeze(model, train_affine=True)
    assert [p.requires_grad for p in open_[0].parameters()] == [True, True]
    assert_same(model, unfreeze(frozen), DATA, exactly=True)


def test_only_some() -> None:
    model: Any = nn.Sequential(nn.Sequential(BN(3), BN(3)), BN(3))
    frozen: Any = freeze(model, "0.*")
    assert [type(m).__name__ for m in (*frozen[0], frozen[1])] == ["FrozenBatchNorm"] * 2 + [
        "BatchNorm2d"
    ]
    back: Any = unfreeze(frozen, ["0.1"])
    assert [type(m) for m in back[0]] == [FrozenBatchNorm, BN]
    with pytest.raises(BadOption, match="no batch-norm layer has such a path"):
        freeze(model, "encoder.*")
    with pytest.raises(BadOption, match="takes a model"):
        freeze("model")  # type: ignore[arg-type]
    assert type(freeze(nn.ReLU())) is nn.ReLU


def test_objects_optimizers_and_hooks_stay() -> None:
    model: Any = scrambled(nn.Sequential(BN(3), nn.ReLU()))
    layer, calls = model[0], []
    handle = layer.register_forward_hook(lambda m, a, y: calls.append(type(m).__name__))
    parameters = list(model.parameters())
    freeze(model, inplace=True)
    model(DATA)
    assert model[0] is layer
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    later = layer.register_forward_pre_hook(lambda m, a: calls.append("pre"))
    given: list[dict[str, Any]] = []
    layer.register_forward_hook(
        lambda m, a, o, y: given.append(o), with_kwargs=True, always_call=True
    )
    unfreeze(model, inplace=True)
    model(DATA)
    assert calls == ["FrozenBatchNorm", "pre", "BatchNorm2d"]
    handle.remove()
    later.remove()
    freeze(model, inplace=True)
    with pytest.raises(ValueError, match="expects 3 channels"):
        model(DATA[:, :2])
    assert given == [{}, {}]  # also after an error
    unfreeze(model, inplace=True)
    model(DATA)
    assert len(calls) == 3


def test_a_frozen_model_is_pickled_copied_and_converted() -> None:
    model = scrambled(convert(models.Basic()))
    frozen = freeze(model)
    back = unfreeze(pickle.loads(pickle.dumps(copy.deepcopy(frozen))))  # our own bytes
    x = torch.randn(3, 4, 6, 6)
    assert_same(model, back, x, exactly=True)
    assert type(back.bn1) is evenkeel.nn.BatchNorm2d


@pytest.mark.parametrize(
    "last",
    [
        lambda: BN(3, track_running_stats=False),
        lambda: models.Own(3),
        lambda: models.parametrized()[0],  # type: ignore[index]
    ],
)
def test_one_that_cannot_be_frozen_leaves_all_as_they_were(last: Any) -> None:
    model = nn.Sequential(BN(3), BN(3), nn.Sequential(last()))
    before = attributes(model)
    with pytest.raises((BadOption, NoStatistics), match=r"at:  2\.0"):
        freeze(model, inplace=True)
    assert attributes(model) == before
    freeze(model, ["0", "1"])


def test_an_error_in_the_middle_of_unfreeze(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = freeze(nn.Sequential(BN(3), BN(3)))
    before = attributes(model)
    real = FrozenBatchNorm.unfreeze

    def fails(self: FrozenBatchNorm) -> nn.Module:
        if self is model[1]:
            raise KeyboardInterrupt
        return real(self)

    monkeypatch.setattr(FrozenBatchNorm, "unfreeze", fails)
    with pytest.raises(KeyboardInterrupt):
        unfreeze(model, inplace=True)
    assert attributes(model) == before
