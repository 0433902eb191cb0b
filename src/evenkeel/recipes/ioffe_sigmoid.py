"""ioffe-sigmoid: three layers of 100 sigmoid units, the first experiment of the paper.

Binary images, three dense layers of 100 units with the sigmoid, logits, cross-entropy, 50,000 steps of
60 images; with batch normalization before each sigmoid, and without. Weights start from a normal
distribution.

Source:  Ioffe & Szegedy 2015, arXiv:1502.03167, section 4.1 and Figure 1
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from evenkeel.conventions import Convention, convention
from evenkeel.recipes.blocks import Blocks
from evenkeel.recipes.initial import normal
from evenkeel.recipes.recipe import RECIPES, Recipe, Variant


class Binarize(nn.Module):
    """1 where a pixel is brighter than half, else 0."""

    def forward(self, images: Tensor) -> Tensor:
        """Threshold at 0.5."""
        return (images > 0.5).to(images.dtype)


def build(variant: Variant) -> nn.Sequential:
    """The network: blocks hidden1 to hidden3, logits."""
    blocks = Blocks(variant=variant, activation="sigmoid", initial=normal(0.1), meaning=_meaning)
    layers = {
        "binarize": Binarize(),
        "flatten": nn.Flatten(),
        "hidden1": blocks.dense(784, 100),
        "hidden2": blocks.dense(100, 100),
        "hidden3": blocks.dense(100, 100),
        "logits": blocks.linear(100, 10),
    }
    return nn.Sequential(OrderedDict(layers))


def optimizer(network: nn.Module, lr: float) -> Optimizer:
    """Gradient descent."""
    return torch.optim.SGD(network.parameters(), lr)


def _meaning(rank: int) -> Convention:
    return convention("torch", rank=rank)


IOFFE_SIGMOID = RECIPES.add("ioffe-sigmoid")(
    Recipe(
        name="ioffe-sigmoid",
        title="3 dense layers of 100, sigmoid",
        source="Ioffe & Szegedy 2015, section 4.1",
        build=build,
        loss=F.cross_entropy,
        optimizer=optimizer,
        lr=0.1,
        batch_size=60,
        steps=50_000,
        probe="hidden3.1",
    )
)
