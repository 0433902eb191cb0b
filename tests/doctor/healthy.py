"""Real networks, trained for some steps: what faults are planted in, and what must be found healthy."""

import copy
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from evenkeel.data import load
from evenkeel.recipes import RECIPES

CLASSES, SIZE, BATCH = 4, 32, 16
Batch = tuple[Tensor, Tensor]


class Classifier(nn.Module):
    """A network of transformers that takes images and gives logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(pixel_values=images).logits  # type: ignore[no-any-return]


def images(seed: int, batches: int = 8, size: int = SIZE) -> list[Batch]:
    """Labelled noise about a pattern for each class, so that there is something to learn."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(CLASSES, 3, 4, 4, generator=torch.Generator().manual_seed(7))
    found = []
    for _ in range(batches):
        labels = torch.randint(0, CLASSES, (BATCH,), generator=generator)
        coarse = nn.functional.interpolate(patterns[labels], size=(size, size))
        found.append((coarse + torch.randn(BATCH, 3, size, size, generator=generator), labels))
    return found


def digits(batches: int = 8, start: int = 0) -> list[Batch]:
    """Batches of 64 of the embedded digits."""
    split = load().train
    cuts = [slice(64 * i, 64 * i + 64) for i in range(start, start + batches)]
    return [(split.images[cut], split.labels[cut]) for cut in cuts]


def resnet() -> nn.Module:
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(  # type: ignore[call-arg]  # transformers' base takes it
        embedding_size=16,
        hidden_sizes=[16, 32],
        depths=[1, 1],
        layer_type="basic",
        num_labels=CLASSES,
    )
    return Classifier(ResNetForImageClassification(config))


def regnet() -> nn.Module:
    from transformers import RegNetConfig, RegNetForImageClassification

    config = RegNetConfig(  # type: ignore[call-arg]  # transformers' base takes it
        embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], groups_width=8, num_labels=CLASSES
    )
    return Classifier(RegNetForImageClassification(config))


def mobilenet() -> nn.Module:
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    config = MobileNetV2Config(  # type: ignore[call-arg]  # transformers' base takes it
        depth_multiplier=0.25,
        num_labels=CLASSES,
        classifier_dropout_prob=0.1,
        output_stride=16,  # at 32, small images leave a worker 16 values a channel: EK501
    )
    return _with_momentum(Classifier(MobileNetV2ForImageClassification(config)))


def efficientnet() -> nn.Module:
    from transformers import EfficientNetConfig, EfficientNetForImageClassification

    config = EfficientNetConfig(  # type: ignore[call-arg]  # transformers' base takes it
        width_coefficient=0.25, depth_coefficient=0.1, hidden_dim=320, num_labels=CLASSES
    )
    model = _with_momentum(Classifier(EfficientNetForImageClassification(config)))
    for module in model.modules():
        # A model from the config draws both from normal(0, 0.02), and its signal fades: EK112.
        if isinstance(module, nn.Conv2d):
            module.weight.data.normal_(0, (2 / module.weight[0].numel()) ** 0.5)
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.fill_(1)
    return model


def _with_momentum(model: nn.Module) -> nn.Module:
    """transformers gives these two TensorFlow's decay as torch's momentum: EK105 finds that."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.1
    return model


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "ResNet": resnet,
    "RegNet": regnet,
    "MobileNetV2": mobilenet,
    "EfficientNet": efficientnet,
}
STEPS = {"conv20": 60}


def trained(name: str) -> nn.Module:
    """A copy of a network after some steps; a recipe's by its own loss and optimizer."""
    return copy.deepcopy(_trained(name))


def batches_for(name: str) -> list[Batch]:
    """Batches that the network has not seen."""
    return images(2) if name in NETWORKS else digits(8, start=10)


@cache
def _trained(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name in NETWORKS:
        model = NETWORKS[name]()
        optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
        fit(model, optimizer, nn.functional.cross_entropy, _cycle(images(1, 10), 60))
        return model
    recipe = RECIPES[name]
    model = _with_momentum(recipe.build(recipe.default))  # the recipe's is for longer training
    optimizer = recipe.optimizer(model, recipe.lr)
    fit(model, optimizer, recipe.loss, _cycle(digits(10), 60))
    return model


def fit(model: nn.Module, optimizer: Any, loss: Any, batches: Iterator[Batch]) -> None:
    """Train on each batch once."""
    model.train()
    for x, labels in batches:
        optimizer.zero_grad()
        loss(model(x), labels).backward()
        optimizer.step()


def _cycle(batches: list[Batch], steps: int) -> Iterator[Batch]:
    for step in range(steps):
        yield batches[step % len(batches)]
