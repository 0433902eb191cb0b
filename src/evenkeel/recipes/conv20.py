"""conv20: nineteen narrow convolutions and a dense layer, made hard to train on purpose.

Convolution i of 19 has 4·i filters of 3×3, stride 2 at every third; then a dense layer of 100 units
and the logits. ReLU everywhere, batch normalization by tf.layers' defaults before it. Adam at 0.002,
mean sigmoid cross-entropy over one-hot labels, 800 batches of 64. Kernels start Glorot-uniform and
padding is TensorFlow's "same", as in the document; no layer before a batch normalization has a bias.

Differs from the document's program in two ways. The rate falls linearly to 0 over the last quarter of
the run: at a constant rate the accuracy jumps about from one evaluation to the next, and where it
ends is a matter of luck (docs/decisions/0004). And torch's Adam adds its epsilon of 1e-8 after the
bias correction, TensorFlow's before it. The document names no seed.

Expect: TensorFlow 1.15.5, on the document's program, ended at test accuracies from 0.90 to 0.97 in
seven runs (median 0.952), and at 0.92 to 0.99 on the first 100 test images one at a time; with the
running averages never updated, at 0.20 and 0.10. Here, at a constant rate, ten runs ended from 0.936
to 0.970 (median 0.957); with the falling rate four runs ended from 0.982 to 0.983. Accuracy stays near
0.1 for the first 150 steps, while the running averages still hold a fifth of their initial values.
Without batch normalization this recipe does not learn: after 800 steps 0.10.

Source:  cnblogs.com/bonelee/p/8528464.html (after jianshu.com/p/06216581c7ef), section tf.layers
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from evenkeel.conventions import Convention, convention
from evenkeel.recipes.blocks import Blocks
from evenkeel.recipes.initial import glorot_uniform
from evenkeel.recipes.recipe import RECIPES, Recipe, Variant


def build(variant: Variant) -> nn.Sequential:
    """The network: blocks conv1 to conv19, dense, logits."""
    blocks = Blocks(variant=variant, activation="relu", initial=glorot_uniform, meaning=_meaning)
    layers = [(4 * i, 3, 2 if i % 3 == 0 else 1) for i in range(1, 20)]
    network = blocks.convs(1, 28, layers)
    # six strides of 2 leave one position of 76 channels
    head = {"flatten": nn.Flatten(), "dense": blocks.dense(76, 100)}
    return nn.Sequential(OrderedDict(network | head | {"logits": blocks.linear(100, 10)}))


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over images and classes of the sigmoid cross-entropy with one-hot labels."""
    targets = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, targets)


def optimizer(network: nn.Module, lr: float) -> Optimizer:
    """Adam; one kernel for all 61 parameters, which are many and small."""
    return torch.optim.Adam(network.parameters(), lr, fused=True)


def schedule(step: int, steps: int) -> float:
    """The factor on the rate: 1, and over the last quarter of the run linearly down to 0.

    >>> [schedule(step, 800) for step in (0, 600, 700, 799)]
    [1.0, 1.0, 0.5, 0.005]
    """
    return min(1.0, (steps - step) / (steps / 4))


def _meaning(rank: int) -> Convention:
    return convention("tf.layers", rank=rank)


CONV20 = RECIPES.add("conv20")(
    Recipe(
        name="conv20",
        title="19 convolutions of 4·i filters, dense 100, ReLU",
        source="cnblogs.com/bonelee/p/8528464.html",
        build=build,
        loss=loss,
        optimizer=optimizer,
        lr=0.002,
        batch_size=64,
        steps=800,
        schedule=schedule,
        probe="dense.1",
    )
)
