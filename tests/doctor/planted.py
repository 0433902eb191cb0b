"""Faults to plant: one row a rule and kind of fault, each planted in several real networks.

A row changes a healthy trained model and says where the doctor must find what; nothing else may be
warned of. ``options`` go to diagnose.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import evenkeel as ek
from doctor.healthy import BATCH, NETWORKS, Batch, batches_for
from evenkeel.surgery.sites import sites

IMAGES = ("ResNet", "RegNet", "MobileNetV2")
SMALL = ("dnn-elu", "ioffe-sigmoid", "sgd-relu")
MIXED = ("ResNet", "RegNet", "MobileNetV2", "EfficientNet", "conv20")


@dataclass
class Planted:
    """A model with a fault, where it is, and how to look at it."""

    model: nn.Module
    places: tuple[str, ...]
    batches: list[Batch]
    options: dict[str, Any] = field(default_factory=dict)


Plant = Callable[[nn.Module, str], Planted]
ROWS: list[tuple[str, Plant, tuple[str, ...]]] = []


def plant(code: str, networks: tuple[str, ...]) -> Callable[[Plant], Plant]:
    def keep(row: Plant) -> Plant:
        ROWS.append((code, row, networks))
        return row

    return keep


def norm_of(model: nn.Module, index: int = 1) -> tuple[str, Any]:
    """One of the layers, and its path; the second by default."""
    found = list(sites(model))
    return found[index % len(found)].path, found[index % len(found)].module


def put(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def before(model: nn.Module, path: str) -> tuple[str, Any]:
    """The linear operation before a layer, by the order of the modules."""
    linear: tuple[str, Any] = ("", None)
    for name, module in model.named_modules():
        if name == path:
            break
        if isinstance(module, nn.Conv2d | nn.Linear):
            linear = (name, module)
    return linear


def settled(model: nn.Module, batches: list[Batch]) -> nn.Module:
    return ek.recalibrate(model, batches, progress=False)


@plant("EK101", MIXED)
def never_updated(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    norm.reset_running_stats()
    return Planted(model, (path,), batches_for(network))


@plant("EK102", MIXED)
def drifted_mean(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model, -1)
    norm.running_mean += 2 * norm.running_var.sqrt() + 0.2
    return Planted(model, (path,), batches_for(network))


@plant("EK102", MIXED)
def drifted_variance(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    norm.running_var *= 9
    return Planted(model, (path,), batches_for(network))


@plant("EK103", MIXED)
def not_finite(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model, 2)
    norm.running_var[0] = float("nan")
    return Planted(model, (path,), batches_for(network))


@plant("EK104", MIXED)
def long_memory(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    norm.momentum = 0.001
    norm.running_mean *= 0.18
    norm.running_var.mul_(0.18).add_(0.82)
    norm.num_batches_tracked.fill_(200)
    return Planted(model, (path,), batches_for(network))


@plant("EK105", MIXED)
def momentum_side(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model, -1)
    norm.momentum = 0.99
    return Planted(model, (path,), batches_for(network))


class Checkpointed(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        return checkpoint(self.inner, x, use_reentrant=False)


@plant("EK106", IMAGES)
def moved_twice(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    put(model, path, Checkpointed(norm))
    return Planted(model, (f"{path}.inner",), batches_for(network))


@plant("EK107", MIXED)
def moved_in_evaluation(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)

    def adapt(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        if not layer.training:
            layer.running_mean.mul_(0.99)

    norm.register_forward_pre_hook(adapt)
    return Planted(model, (path,), batches_for(network))


@plant("EK108", MIXED)
def not_moved(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    norm.momentum = 0.0
    return Planted(model, (path,), batches_for(network))


@plant("EK109", MIXED)
def thaws(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    for parameter in norm.parameters():
        parameter.requires_grad_(False)
    return Planted(model, (path,), batches_for(network))


@plant("EK109", IMAGES)
def thaws_by_mode(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model.train(), 0)
    norm.eval()
    return Planted(model, (path,), batches_for(network))


@plant("EK111", IMAGES)
def two_populations(model: nn.Module, network: str) -> Planted:
    path, _ = norm_of(model, 0)
    batches = [(x + 4 * (i % 2), y) for i, (x, y) in enumerate(batches_for(network))]
    return Planted(settled(model, batches), (path,), batches)


@plant("EK112", IMAGES)
def variance_below_eps(model: nn.Module, network: str) -> Planted:
    path, _ = norm_of(model, 3)
    _, linear = before(model, path)
    linear.weight.data *= 1e-5
    batches = batches_for(network)
    return Planted(settled(model, batches), (path,), batches)


@plant("EK113", ("ResNet", "RegNet", "conv20"))
def dead_channels(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model, 0)
    norm.bias.data[: len(norm.bias) // 2] = -20
    batches = batches_for(network)
    return Planted(settled(model, batches), (path,), batches)


@plant("EK113", MIXED)
def flat_channels(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    if norm.weight is None:
        norm.weight = nn.Parameter(torch.ones_like(norm.bias))
    norm.weight.data[: len(norm.weight) // 2] = 1e-7
    batches = batches_for(network)
    return Planted(settled(model, batches), (path,), batches)


@plant("EK114", ("ResNet", "RegNet", "conv20"))
def cancellation(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    _, linear = before(model, path)
    linear.bias = nn.Parameter(torch.full((norm.running_mean.numel(),), 3e6))
    batches = batches_for(network)
    return Planted(settled(model, batches), (path,), batches)


@plant("EK115", IMAGES)
def short_memory(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model, 0)
    norm.momentum = 0.45
    shifts = torch.linspace(-3, 3, 8)[torch.randperm(8, generator=torch.Generator().manual_seed(0))]
    batches = [(x + s, y) for (x, y), s in zip(batches_for(network), shifts, strict=True)]
    return Planted(settled(model, batches), (path,), batches)


@plant("EK201", MIXED)
def batch_statistics(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    norm.track_running_stats = False
    norm.running_mean = norm.running_var = norm.num_batches_tracked = None
    return Planted(model, (path,), batches_for(network))


class AlwaysTraining(nn.BatchNorm2d):
    def train(self, mode: bool = True) -> "AlwaysTraining":
        return super().train(True)


@plant("EK201", IMAGES)
def stuck_in_training(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model, 2)
    norm.__class__ = AlwaysTraining
    return Planted(model, (path,), batches_for(network))


class NeverTraining(nn.BatchNorm2d):
    def train(self, mode: bool = True) -> "NeverTraining":
        return super().train(False)


@plant("EK202", IMAGES)
def running_in_training(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model, 2)
    norm.__class__ = NeverTraining
    norm.train()
    return Planted(model.eval(), (path,), batches_for(network))


@plant("EK203", SMALL)
def one_value(model: nn.Module, network: str) -> Planted:
    path, _ = norm_of(model, 0)
    batches = batches_for(network)
    x, y = batches[-1]
    return Planted(model, (path,), [*batches[:3], (x[:1], y[:1])])


@plant("EK204", SMALL)
def few_values(model: nn.Module, network: str) -> Planted:
    paths = tuple(site.path for site in sites(model))
    return Planted(model, paths, [(x[:6], y[:6]) for x, y in batches_for(network)])


class OnlyInTraining(nn.Module):
    def __init__(self, bn: nn.Module) -> None:
        super().__init__()
        self.bn = bn

    def forward(self, x: Tensor) -> Any:
        return self.bn(x) if self.training else x


@plant("EK205", MIXED)
def skipped(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    put(model, path, OnlyInTraining(norm))
    return Planted(model, (f"{path}.bn",), batches_for(network))


@plant("EK301", ("ResNet", "RegNet", "conv20"))
def bias_before(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    _, linear = before(model, path)
    linear.bias = nn.Parameter(torch.ones(norm.running_mean.numel()))
    batches = batches_for(network)
    return Planted(settled(model, batches), (path,), batches)


@plant("EK302", ("dnn-elu", "sgd-relu", "conv20"))
def scale_before_relu(model: nn.Module, network: str) -> Planted:
    """A network of Linear, BatchNorm, ReLU, Linear in front of the recipe's."""
    shaped = [
        nn.Flatten(),
        nn.Linear(784, 784),
        nn.BatchNorm1d(784),
        nn.ReLU(),
        nn.Linear(784, 784),
    ]
    torch.manual_seed(0)
    whole = nn.Sequential(*shaped, nn.Unflatten(1, (1, 28, 28)), model)
    batches = batches_for(network)
    return Planted(settled(whole, batches), ("2",), batches)


class Permuted(nn.Module):
    def __init__(self, height: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(height)

    def forward(self, x: Tensor) -> Any:
        return self.bn(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@plant("EK303", IMAGES)
def wrong_axis(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model, 0)
    batches = batches_for(network)
    put(model, path, Permuted(_shape(model, norm, batches)[2]))
    return Planted(settled(model, batches), (f"{path}.bn",), batches)


class PerActivation(nn.Module):
    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(shape[1:].numel())

    def forward(self, x: Tensor) -> Any:
        return self.bn(x.flatten(1)).view_as(x)


@plant("EK304", IMAGES)
def per_activation(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model, 0)
    batches = batches_for(network)
    put(model, path, PerActivation(_shape(model, norm, batches)))
    return Planted(settled(model, batches), (f"{path}.bn",), batches)


@plant("EK305", ("ResNet", "dnn-elu", "conv20", "EfficientNet"))
def on_logits(model: nn.Module, network: str) -> Planted:
    whole = nn.Sequential(model, nn.BatchNorm1d(4 if network in NETWORKS else 10))
    batches = batches_for(network)
    return Planted(settled(whole, batches), ("1",), batches)


@plant("EK306", ("ResNet", "RegNet", "conv20"))
def after_dropout(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    put(model, path, nn.Sequential(nn.Dropout(0.5), norm))
    batches = batches_for(network)
    ek.recalibrate(model, batches, progress=False, inplace=True)
    norm.running_mean.copy_(norm.running_mean)
    norm.running_var *= 2
    return Planted(model, (f"{path}.1",), batches)


@plant("EK307", ("ResNet", "RegNet", "conv20"))
def several_places(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    put(model, path, nn.Sequential(norm, nn.ReLU(), norm))
    batches = batches_for(network)
    return Planted(settled(model, batches), (f"{path}.0",), batches)


class WithSpare(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.spare = inner, nn.BatchNorm2d(8)
        torch.as_tensor(self.spare.running_mean).add_(0.1)

    def forward(self, x: Tensor) -> Any:
        return self.inner(x)


@plant("EK308", MIXED)
def never_called(model: nn.Module, network: str) -> Planted:
    return Planted(WithSpare(model), ("spare",), batches_for(network))


class Ignored(nn.Module):
    def __init__(self, bn: nn.Module) -> None:
        super().__init__()
        self.bn = bn

    def forward(self, x: Tensor) -> Tensor:
        self.bn(x)
        return x


@plant("EK309", ("ResNet", "RegNet", "conv20", "dnn-elu"))
def unused(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    put(model, path, Ignored(norm))
    batches = batches_for(network)
    return Planted(settled(model, batches), (f"{path}.bn",), batches)


@plant("EK310", MIXED)
def weight_decay(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    groups = [{"params": norm.parameters(), "weight_decay": 0.1}]
    return Planted(
        model, (path,), batches_for(network), {"optimizer": torch.optim.SGD(groups, lr=0.1)}
    )


@plant("EK311", ("ResNet", "RegNet", "conv20"))
def lost_activation(model: nn.Module, network: str) -> Planted:
    batches = batches_for(network)
    model = ek.convert(ek.convert(model, to="torch"), batches[0][0])
    site = next(s for s in sites(model) if s.module.spec.activation == "relu")  # type: ignore[union-attr]  # ours
    site.module.spec = replace(site.module.spec, activation=None)  # type: ignore[type-var]  # ours
    return Planted(settled(model, batches), (site.path,), batches)


@plant("EK401", IMAGES)
def half_precision(model: nn.Module, network: str) -> Planted:
    model = model.bfloat16()
    batches = [(x.bfloat16(), y) for x, y in batches_for(network)]
    return Planted(model, tuple(site.path for site in sites(model)), batches)


def origin_of(norm: Any) -> dict[str, Any]:
    """A framework whose eps is the network's."""
    return {"origin": "torch" if norm.eps == 1e-5 else "tf.layers"}


@plant("EK402", ("ResNet", "RegNet", "MobileNetV2", "EfficientNet"))
def eps_of_origin(model: nn.Module, network: str) -> Planted:
    path, norm = norm_of(model)
    options = origin_of(norm)
    norm.eps = 0.03
    return Planted(model, (path,), batches_for(network), options)


@plant("EK403", ("ResNet", "RegNet", "MobileNetV2", "EfficientNet"))
def variance_of_origin(model: nn.Module, network: str) -> Planted:
    options = origin_of(norm_of(model)[1])
    model = ek.convert(model)
    path, norm = norm_of(model, -1)
    norm.spec = replace(norm.spec, unbiased=False)
    return Planted(model, (path,), batches_for(network), options)


@plant("EK404", SMALL)
def accumulation(model: nn.Module, network: str) -> Planted:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    turn = iter(range(1000))

    def step(network: nn.Module, batch: Batch) -> None:
        nn.functional.cross_entropy(network(batch[0]), batch[1]).backward()  # type: ignore[no-untyped-call]
        if next(turn) % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()

    path, _ = norm_of(model, 0)
    batches = [(x[:BATCH], y[:BATCH]) for x, y in batches_for(network)]
    return Planted(model, (path,), batches, {"step": step, "optimizer": optimizer})


def _shape(model: nn.Module, norm: nn.Module, batches: list[Batch]) -> torch.Size:
    """The shape of what a layer gets."""
    seen: list[torch.Size] = []
    handle = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    with torch.no_grad():
        model(batches[0][0])
    handle.remove()
    return seen[0]
