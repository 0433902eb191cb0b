"""sgd-relu: one wide layer of 1,024 ReLU units, normalized input, strong L2.

Batch normalization on the flattened images, dense 1,024 with ReLU, batch normalization, logits. Both
are tf.contrib.layers' with its defaults: decay 0.999, no γ, unbiased running variance also at rank 2.
Gradient descent at 0.5, mean softmax cross-entropy, L2 of 0.001 on weights and biases, batches of 128,
3,001 steps. Weights start from a normal distribution with deviation 1, cut at two.

Differs from the document's program: that one evaluates a path of its own which skips both batch
normalizations, so its validation and test accuracies are of another network than the one it trains;
here the network that is trained is evaluated. It walks through its data in order; here batches are
shuffled. Its loss contains the L2 term (360 at the first step), the one shown here does not. Placement
"after" the activation is the document's and the default.

Expect: TensorFlow 1.15.5, on the document's program with 501 steps and seed 11, ended at 0.891 on its
minibatch and, by that other path, 0.793 in validation and 0.782 in test. With that path mended and
UPDATE_OPS run, 3,001 steps gave it a validation accuracy of 0.779 by the running averages and of 0.958
by the statistics of the batch: at a decay of 0.999 the running averages still hold 5 % of their
initial values then, which is much for pixels that are nearly always black. The network learns well and
is evaluated badly, and the check on single images says so: 73 of 100 agree here. Without batch
normalization it reaches 0.97.

Source:  cnblogs.com/bonelee/p/8528464.html, first example
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import Optimizer

from evenkeel.conventions import Convention, convention
from evenkeel.recipes.blocks import Blocks
from evenkeel.recipes.decay import l2_groups
from evenkeel.recipes.initial import truncated_normal
from evenkeel.recipes.recipe import RECIPES, Recipe, Variant


def build(variant: Variant) -> nn.Sequential:
    """The network: input, block hidden, logits."""
    blocks = Blocks(
        variant=variant, activation="relu", initial=truncated_normal(1.0), meaning=_meaning
    )
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    if variant.batch_norm:
        layers["input"] = blocks.norm(784, rank=2)
    layers["hidden"] = blocks.dense(784, 1024)
    layers["logits"] = blocks.linear(1024, 10)
    return nn.Sequential(layers)


def optimizer(network: nn.Module, lr: float) -> Optimizer:
    """Gradient descent, with L2 on weights and biases of the dense layers."""
    dense = (m for m in network.modules() if isinstance(m, nn.Linear))
    decayed = (parameter for layer in dense for parameter in layer.parameters())
    return torch.optim.SGD(l2_groups(network, decayed, 0.001), lr)


def _meaning(rank: int) -> Convention:
    return convention("tf.contrib.layers", rank=rank)


SGD_RELU = RECIPES.add("sgd-relu")(
    Recipe(
        name="sgd-relu",
        title="dense 1024, ReLU, normalized input, L2",
        source="cnblogs.com/bonelee/p/8528464.html",
        build=build,
        loss=F.cross_entropy,
        optimizer=optimizer,
        lr=0.5,
        batch_size=128,
        steps=3001,
        probe="hidden.1",
        default=Variant(placement="after"),
    )
)
