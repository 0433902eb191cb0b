"""mnist-estimator: three convolutions without pooling and a decaying learning rate.

Convolutions of 8 filters 6×6, 12 of 5×5 and 16 of 4×4 (stride 2 for the last two), dense 64, ReLU;
batch normalization before it by tf.layers with scale off, which ReLU does not need, and epsilon 1e-5.
Dropout of 0.3 before the logits. Adam at 0.0001 + 0.02·exp(−step / 600), mean softmax cross-entropy,
batches of 100, 400 steps. Kernels start from a normal distribution with deviation 0.1, cut at two;
those of the logits Glorot-uniform. Padding is TensorFlow's "same".

Differs from the program: its pixels are x / 256, here they are x / 255, which the first batch
normalization takes out. TensorFlow's fused kernel raises the epsilon to 1.001e-5 behind convolutions;
so does this recipe, through the convention.

Expect: TensorFlow 1.15.5, on the document's network as a complete tf.estimator program, reached test
accuracies from 0.977 to 0.982 after 400 steps, in four runs.

Source:  github.com/GoogleCloudPlatform/tensorflow-without-a-phd, README_BATCHNORM.md of its
tensorflow-mnist-tutorial
"""

import math
from collections import OrderedDict
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import Optimizer

from evenkeel.conventions import Convention, convention
from evenkeel.recipes.blocks import Blocks
from evenkeel.recipes.initial import glorot_uniform, truncated_normal
from evenkeel.recipes.recipe import RECIPES, Recipe, Variant

FLOOR, START, DECAY_STEPS = 0.0001, 0.02, 600


def build(variant: Variant) -> nn.Sequential:
    """The network: blocks conv1 to conv3, dense, logits."""
    blocks = Blocks(
        variant=variant, activation="relu", initial=truncated_normal(0.1), meaning=_meaning
    )
    network = blocks.convs(1, 28, [(8, 6, 1), (12, 5, 2), (16, 4, 2)])
    head = {
        "flatten": nn.Flatten(),
        "dense": blocks.dense(16 * 7 * 7, 64),
        "dropout": nn.Dropout(0.3),
        "logits": replace(blocks, initial=glorot_uniform).linear(64, 10),
    }
    return nn.Sequential(OrderedDict(network | head))


def optimizer(network: nn.Module, lr: float) -> Optimizer:
    """Adam."""
    return torch.optim.Adam(network.parameters(), lr)


def schedule(step: int, steps: int) -> float:
    """The factor on the rate of step 0.

    Math:    (0.0001 + 0.02 · exp(−step / 600)) / 0.0201

    >>> schedule(0, 6000)
    1.0
    """
    return (FLOOR + START * math.exp(-step / DECAY_STEPS)) / (FLOOR + START)


def _meaning(rank: int) -> Convention:
    return replace(convention("tf.layers", rank=rank, eps=1e-5), scale=False)


MNIST_ESTIMATOR = RECIPES.add("mnist-estimator")(
    Recipe(
        name="mnist-estimator",
        title="3 convolutions, dense 64, ReLU, no γ, decaying rate, dropout",
        source="tensorflow-without-a-phd, README_BATCHNORM.md",
        build=build,
        loss=F.cross_entropy,
        optimizer=optimizer,
        lr=FLOOR + START,
        batch_size=100,
        steps=400,
        probe="dense.1",
        schedule=schedule,
    )
)
