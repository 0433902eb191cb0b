"""The networks of suite ``nets``: conv20 of our recipes, two that transformers builds."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from evenkeel.recipes import RECIPES
from evenkeel.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """A network with a batch to train it on; ``package`` is what it needs beside torch."""

    network: str
    shape: tuple[int, ...]
    classes: int
    layout: str
    plain: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: Callable[[nn.Module], Optimizer]
    package: str = "torch"

    def missing(self) -> str:
        """The reason why it cannot be built here; "" when it can."""
        return "" if find_spec(self.package) else f"{self.package} is not installed"

    def build(self) -> nn.Module:
        """The network in its layout, random weights."""
        return self.plain().to(memory_format=self._format())  # type: ignore[call-overload,no-any-return]  # torch's stub lacks it alone

    def batch(self) -> tuple[Tensor, Tensor]:
        """Images and labels, the same on every call."""
        draw = torch.Generator().manual_seed(1)
        x = torch.randn(self.shape, generator=draw).contiguous(memory_format=self._format())
        return x, torch.randint(self.classes, (self.shape[0],), generator=draw)

    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.layout == "nhwc" else torch.contiguous_format


NETS: Table[Net] = Table("network")


class Logits(nn.Module):
    """A transformers classifier as a function from images to logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.model(x).logits  # type: ignore[no-any-return]


def _conv20() -> nn.Module:
    recipe = RECIPES["conv20"]
    return recipe.build(recipe.default)


def _conv20_optimizer(model: nn.Module) -> Optimizer:
    recipe = RECIPES["conv20"]
    return recipe.optimizer(model, recipe.lr)


def _transformers(config: str, model: str, **settings: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import transformers

        made = getattr(transformers, config)(num_labels=1000, **settings)
        return Logits(getattr(transformers, model)(made))

    return build


def _sgd(model: nn.Module) -> Optimizer:
    return torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)


_RESNET = _transformers("ResNetConfig", "ResNetForImageClassification")
_MOBILE = _transformers(
    "MobileNetV2Config", "MobileNetV2ForImageClassification", classifier_dropout_prob=0.0
)
for _layout in ("nchw", "nhwc"):
    NETS.add(f"conv20-{_layout}")(
        Net(
            network="conv20",
            shape=(64, 1, 28, 28),
            classes=10,
            layout=_layout,
            plain=_conv20,
            loss=RECIPES["conv20"].loss,
            optimizer=_conv20_optimizer,
        )
    )
for _name, _plain in (("resnet50", _RESNET), ("mobilenetv2", _MOBILE)):
    for _layout in ("nchw", "nhwc"):
        NETS.add(f"{_name}-{_layout}")(
            Net(
                network=_name,
                shape=(16, 3, 64, 64),
                classes=1000,
                layout=_layout,
                plain=_plain,
                loss=F.cross_entropy,
                optimizer=_sgd,
                package="transformers",
            )
        )
