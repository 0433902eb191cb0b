"""In place of torch's layers in real networks: same outputs, gradients and buffers, same handling."""

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import evenkeel.nn
from oracles.compare import assert_close, max_error

TORCH_NORM = nn.modules.batchnorm._BatchNorm


def resnet() -> nn.Module:
    from transformers import ResNetConfig, ResNetForImageClassification

    return _model(
        ResNetForImageClassification,
        ResNetConfig,
        embedding_size=8,
        hidden_sizes=[16, 32],
        depths=[2, 1],
        layer_type="bottleneck",
    )


def mobilenet() -> nn.Module:
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    return _model(
        MobileNetV2ForImageClassification,
        MobileNetV2Config,
        depth_multiplier=0.1,
        min_depth=4,
        depth_divisible_by=4,
        finegrained_output=False,
        first_layer_is_expansion=False,
        image_size=32,
        classifier_dropout_prob=0.0,
    )


def efficientnet() -> nn.Module:
    from transformers import EfficientNetConfig, EfficientNetForImageClassification

    return _model(
        EfficientNetForImageClassification,
        EfficientNetConfig,
        width_coefficient=0.15,
        depth_coefficient=0.2,
        image_size=32,
        hidden_dim=192,
        dropout_rate=0.0,
        drop_connect_rate=0.0,
    )


def _model(kind: Callable[[Any], Any], config: Callable[..., Any], **sizes: Any) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = kind(config(num_labels=3, **sizes))
    # transformers starts EfficientNet so small, γ of 0.02 included, that eps is all of a variance
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
        else:
            nn.init.uniform_(parameter, 0.5, 1.5)
    return model


MODELS = {"resnet": resnet, "mobilenet": mobilenet, "efficientnet": efficientnet}
each = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())


def norms(model: nn.Module) -> list[TORCH_NORM]:
    return [m for m in model.modules() if isinstance(m, TORCH_NORM)]


def ours(model: nn.Module, change: Callable[[Any], None] = lambda layer: None) -> nn.Module:
    """A copy of the model with every layer of torch's replaced; ``change`` is done to each."""
    model = copy.deepcopy(model)
    for path, layer in list(model.named_modules()):
        if isinstance(layer, TORCH_NORM):
            kind = getattr(evenkeel.nn, type(layer).__name__)
            new = kind(layer.num_features, layer.eps, layer.momentum)
            new.load_state_dict(layer.state_dict(), strict=True)
            change(new)
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, new.to(layer.running_mean))
    return model


def images(count: int, dtype: torch.dtype, last: bool = False) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn((count, 6, 3, 32, 32), generator=generator, dtype=torch.float64).to(dtype)
    return [x.contiguous(memory_format=torch.channels_last) if last else x for x in drawn]


def logits(model: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = model(x).logits
    return y


def trained(model: nn.Module, batches: list[Tensor]) -> Iterator[dict[str, Tensor]]:
    """Logits, gradients and buffers of SGD steps, one after another, each with an inference."""
    for x in batches:
        model.train().zero_grad()
        y = logits(model, x)
        (y.square().mean() + y.mean()).backward()  # type: ignore[no-untyped-call]
        yield {
            "logits in training": y.detach(),
            **{f"gradient of {n}": g.clone() for n, g in gradients(model).items()},
            **{n: b.clone() for n, b in model.named_buffers()},
            "logits in inference": logits(model.eval(), x).detach(),
        }
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.sub_(0.01 * gradients(model)[name])


def errors(got: dict[str, Tensor], want: dict[str, Tensor]) -> dict[str, float]:
    """The error of each array, in units that make sense of one that is 0 but for rounding."""
    assert list(got) == list(want)
    largest = max(float(v.abs().max()) for n, v in want.items() if n.startswith("gradient"))
    found = {}
    for name, true in want.items():
        size = float(true.abs().max())
        if name.startswith("gradient"):  # what a normalization takes off again has none
            size = max(size, 1e-3 * largest)
        if name.endswith("running_mean"):  # a mean in units of the values' own spread
            size = max(size, float(want[name.replace("running_mean", "running_var")].max()) ** 0.5)
        found[name] = max_error(got[name], true, dtype=got[name].dtype, scale=size)
    return found


def check(model: nn.Module, mine: nn.Module, batches: list[Tensor]) -> None:
    """Ours is no further from torch's in float64 than torch's float32 is; a factor of 4 is for luck."""
    exact, wide = copy.deepcopy(model).double(), [x.double() for x in batches]
    steps = zip(trained(exact, wide), trained(model, batches), trained(mine, batches), strict=True)
    for want, torchs, got in steps:
        noise = max(errors(torchs, want).values())
        for name, error in errors(got, want).items():
            assert error <= 4 * noise + 1e-6, (
                f"{name}: {error:.1e}, torch's own at most {noise:.1e}"
            )


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@each
def test_float64_to_the_last_digits(make: Callable[[], nn.Module]) -> None:
    model, batches = make().double(), images(3, torch.float64)
    for want, got in zip(trained(model, batches), trained(ours(model), batches), strict=True):
        for name, error in errors(got, want).items():
            assert error <= 1e-9, f"{name}: {error:.1e}"


@each
@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
def test_float32_within_float_error(make: Callable[[], nn.Module], last: bool) -> None:
    model = make()
    if last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    check(model, ours(model), images(2, torch.float32, last))


def _flip(layer: Any) -> None:
    layer.momentum = 1 - layer.momentum


def _eps(layer: Any) -> None:
    layer.eps = 1e-2


def _biased(layer: Any) -> None:
    layer.spec = evenkeel.nn.BatchNorm2d(
        layer.num_features, layer.eps, layer.momentum, running_var="biased"
    ).spec


def _activated(layer: Any) -> None:
    layer.spec = evenkeel.nn.BatchNorm2d(
        layer.num_features, layer.eps, layer.momentum, activation="gelu"
    ).spec


@pytest.mark.parametrize("fault", [_flip, _eps, _biased, _activated])
def test_the_check_sees(fault: Callable[[Any], None]) -> None:
    model = resnet()
    with pytest.raises(AssertionError):
        check(model, ours(model, fault), images(2, torch.float32))


def test_same_classes_states_and_parameters() -> None:
    model = resnet()
    mine = ours(model)
    assert len(norms(mine)) == len(norms(model)) > 5
    for layer in norms(mine):
        assert isinstance(layer, nn.BatchNorm2d)
        assert isinstance(layer, evenkeel.nn.BatchNorm2d)
    assert list(mine.state_dict()) == list(model.state_dict())
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in model.named_parameters()]


def test_state_dict_both_ways_strictly() -> None:
    model, mine, other = resnet(), ours(resnet()), resnet()
    x = images(1, torch.float32)[0]
    logits(mine, x)
    file = io.BytesIO()
    torch.save(mine.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    model.load_state_dict(state, strict=True)
    other.load_state_dict(model.state_dict(), strict=True)
    mine.load_state_dict(other.state_dict(), strict=True)
    assert_close(logits(mine.eval(), x), logits(model.eval(), x), 1e-5, "logits")


def test_an_old_state_without_the_counter_loads_as_in_torch() -> None:
    mine, torchs = evenkeel.nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    torchs(torch.randn(4, 3, 2, 2))
    state = torchs.state_dict()
    del state["num_batches_tracked"]
    state._metadata[""]["version"] = 1  # type: ignore[attr-defined]  # as before torch 0.4.1
    mine.load_state_dict(state, strict=True)
    assert int(mine.num_batches_tracked or 0) == 0


def test_optimizer_groups_by_class_and_a_step() -> None:
    mine = ours(resnet())
    undecayed = {id(p) for layer in norms(mine) for p in layer.parameters()}
    groups: list[dict[str, Any]] = [
        {"params": [p for p in mine.parameters() if id(p) in undecayed], "weight_decay": 0.0},
        {"params": [p for p in mine.parameters() if id(p) not in undecayed]},
    ]
    assert len(groups[0]["params"]) == 2 * len(norms(mine))
    optimizer = torch.optim.AdamW(groups, 0.01, weight_decay=0.1)
    before = copy.deepcopy(mine.state_dict())
    logits(mine, images(1, torch.float32)[0]).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert all(not torch.equal(p, before[name]) for name, p in mine.named_parameters())


def test_hooks_of_every_kind() -> None:
    layer, seen = evenkeel.nn.BatchNorm2d(3, activation="relu"), []
    layer.register_forward_pre_hook(lambda *_: seen.append("before"))
    layer.register_forward_hook(lambda *_: seen.append("after"))
    layer.register_full_backward_pre_hook(lambda *_: seen.append("before backward"))
    layer.register_full_backward_hook(lambda *_: seen.append("after backward"))
    layer(torch.randn(4, 3, 2, 2, requires_grad=True)).sum().backward()
    assert seen == ["before", "after", "before backward", "after backward"]


@pytest.mark.parametrize("convert", ["half", "bfloat16", "double"])
def test_conversions_of_the_whole_model(convert: str) -> None:
    torchs, mine = getattr(resnet(), convert)(), getattr(ours(resnet()), convert)()
    assert {n: t.dtype for n, t in mine.state_dict().items()} == {
        n: t.dtype for n, t in torchs.state_dict().items()
    }
    x = images(1, next(torchs.parameters()).dtype)[0]
    budget = {"half": 2e-2, "bfloat16": 2e-1, "double": 1e-9}[convert]
    for model in (torchs, mine):
        model.train()
    assert_close(logits(mine, x), logits(torchs, x), budget, "logits")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast(dtype: torch.dtype) -> None:
    torchs, mine, x = nn.BatchNorm2d(3), evenkeel.nn.BatchNorm2d(3), torch.randn(8, 3, 4, 4)
    conv = nn.Conv2d(3, 3, 1)
    with torch.autocast("cpu", dtype):
        hidden = conv(x)
        got, want = mine(hidden), torchs(hidden)
    assert got.dtype == want.dtype == dtype
    assert_close(got, want, 2 * torch.finfo(dtype).eps, "y")
    assert_close(mine.running_var, torchs.running_var, 2e-3, "running_var")  # type: ignore[arg-type]


def test_copies_train_apart() -> None:
    mine = ours(resnet())
    other, x = copy.deepcopy(mine), images(1, torch.float32)[0]
    before = copy.deepcopy(other.state_dict())
    logits(mine.train(), x)
    assert all(torch.equal(t, before[name]) for name, t in other.state_dict().items())


def test_prints_inside_a_model() -> None:
    text = repr(ours(resnet()))
    assert text.count("BatchNorm2d(") == len(norms(resnet()))
    assert "activation" not in text.split("BatchNorm2d(")[1].split(")")[0]
