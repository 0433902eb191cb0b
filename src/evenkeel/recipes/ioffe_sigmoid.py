"""ioffe-sigmoid: three layers of 100 sigmoid units, the first experiment of the paper.

Binary images, three dense layers of 100 units with the sigmoid, logits, mean softmax cross-entropy,
gradient descent, 50,000 steps of 60 images; with batch normalization before each sigmoid, or with
biases instead. Pixels brighter than half count as 1. Batch normalization has torch's epsilon of 1e-5
and running averages with a weight of 0.1 for the new batch; the paper names neither, and it collects
its statistics of inference, with the unbiased variance as here, after training.

Differs from the paper in what the paper leaves open: it starts the weights at "small random Gaussian
values" and gives no learning rate. Here their deviation is 0.1 and the rate 0.1, chosen by measuring on
MNIST, so that the network without batch normalization does learn within the 50,000 steps and not at
once: at a rate of 0.5 it is level after 3,000 steps, at a deviation of 0.05 it does not start before
step 2,000.

Expect, measured on MNIST with these choices: validation accuracy with and without batch normalization
0.89 and 0.30 after 500 steps, 0.92 and 0.83 after 2,000, 0.95 and 0.91 after 5,000, 0.97 and 0.97 after
50,000. The 15th and 85th percentile of the last sigmoid's first input stand near −1.2 and 1.2 from the
first steps on with it; without, all three start within 0.1 of each other, drift and then spread: as in
Figure 1(b, c).

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
