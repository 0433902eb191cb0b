"""dnn-elu: a plain network of 300 and 100 ELU units.

Flattened images, dense 300, dense 100, logits; batch normalization before ELU by tf.layers' defaults
with momentum 0.9. Gradient descent at 0.01, mean softmax cross-entropy, batches of 250, 25 epochs.
Kernels start Glorot-uniform, as tf.layers draws them.

Differs from the document's program: it also normalizes its logits, but computes loss and accuracy from
the logits before that, so the third batch normalization trains nothing; it is left out. Its dense
layers before batch normalization have biases, which batch normalization subtracts again; here they
have none.

Expect: TensorFlow 1.15.5, on the document's program with its seed 42, reached validation accuracies of
0.888 after one epoch, 0.942 after ten and 0.961 after 25.

Source:  github.com/jaynilpatel/mnist, batch_normalization-mnist.py
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import Optimizer

from evenkeel.conventions import Convention, convention
from evenkeel.recipes.blocks import Blocks
from evenkeel.recipes.initial import glorot_uniform
from evenkeel.recipes.recipe import RECIPES, Recipe, Variant


def build(variant: Variant) -> nn.Sequential:
    """The network: blocks hidden1 and hidden2, logits."""
    blocks = Blocks(variant=variant, activation="elu", initial=glorot_uniform, meaning=_meaning)
    layers = {
        "flatten": nn.Flatten(),
        "hidden1": blocks.dense(784, 300),
        "hidden2": blocks.dense(300, 100),
        "logits": blocks.linear(100, 10),
    }
    return nn.Sequential(OrderedDict(layers))


def optimizer(network: nn.Module, lr: float) -> Optimizer:
    """Gradient descent."""
    return torch.optim.SGD(network.parameters(), lr)


def _meaning(rank: int) -> Convention:
    return convention("tf.layers", rank=rank, momentum=0.9)


DNN_ELU = RECIPES.add("dnn-elu")(
    Recipe(
        name="dnn-elu",
        title="dense 300 and 100, ELU",
        source="github.com/jaynilpatel/mnist",
        build=build,
        loss=F.cross_entropy,
        optimizer=optimizer,
        lr=0.01,
        batch_size=250,
        epochs=25,
        probe="hidden2.1",
    )
)
