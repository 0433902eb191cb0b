"""convnet-lrn: two convolutions with local response normalization, or batch normalization there.

TFLearn's example for MNIST: twice convolution (32, then 64 filters of 3×3, ReLU, L2 0.001 on the
kernels), max-pooling by 2 and local response normalization; dense 128 and 256 with tanh, dropout
keeping 0.8 of each; Adam at 0.01, mean softmax cross-entropy, batches of 64. Initial kernels are
TFLearn's: uniform within ±√(3 / fan in) for convolutions, normal with deviation 0.02, cut at two, for
dense layers. The default has no batch normalization. Asked for, it stands where the local response
normalization stood, after pooling (placement "after"): the question of the document that quotes this
example. With placement "before" it stands between convolution and ReLU. It is TFLearn's own, so
momentum 0.1 of the new batch, biased running variance, γ from N(1, 0.002²).

Differs from the example: the document names no number of epochs; here there are as many steps as in
one over MNIST's 55,000 training images. The loss that is shown lacks the L2 term.

Expect: TensorFlow 1.15.5 with TFLearn 0.5.0 reached a test accuracy of 0.945 on the first 2,000 test
images after one epoch over the first 6,000 training images.

Source:  github.com/tflearn/tflearn, examples/images/convnet_mnist.py
"""

from collections import OrderedDict
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from evenkeel.conventions import Convention, convention
from evenkeel.functional import local_response_normalization
from evenkeel.recipes.blocks import Blocks
from evenkeel.recipes.decay import l2_groups
from evenkeel.recipes.initial import truncated_normal, uniform_unit_scaling
from evenkeel.recipes.recipe import RECIPES, Recipe, Variant


class LocalResponseNorm(nn.Module):
    """Local response normalization with TFLearn's parameters.

    Math:    y[c] = x[c] / (1 + 1e-4 · Σ_{|d − c| ≤ 5} x[d]²) ** 0.75
    Shapes:  x [N, C, H, W]; y as x
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize over neighbouring channels."""
        return local_response_normalization(x, depth_radius=5, bias=1.0, alpha=1e-4, beta=0.75)


def build(variant: Variant) -> nn.Sequential:
    """The network: conv1, pool1, norm1, conv2, pool2, norm2, dense1, dense2, logits."""
    before = variant.batch_norm and variant.placement == "before"
    plain = replace(variant, batch_norm=False)
    convs = Blocks(
        variant=variant if before else plain,
        activation="relu",
        initial=uniform_unit_scaling,
        meaning=_meaning,
    )
    dense = Blocks(
        variant=plain, activation="tanh", initial=truncated_normal(0.02), meaning=_meaning
    )
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (inputs, filters) in enumerate(((1, 32), (32, 64)), 1):
        layers[f"conv{number}"] = convs.conv(inputs, filters, 3, padding=1)
        layers[f"pool{number}"] = nn.MaxPool2d(2)
        if not variant.batch_norm:
            layers[f"norm{number}"] = LocalResponseNorm()
        elif not before:
            layers[f"norm{number}"] = convs.norm(filters, rank=4)
    layers["flatten"] = nn.Flatten()
    for number, (inputs, units) in enumerate(((64 * 7 * 7, 128), (128, 256)), 1):
        layers[f"dense{number}"] = dense.dense(inputs, units)
        layers[f"dropout{number}"] = nn.Dropout(0.2)
    layers["logits"] = dense.linear(256, 10)
    return nn.Sequential(layers)


def optimizer(network: nn.Module, lr: float) -> Optimizer:
    """Adam, with L2 on the kernels of the convolutions."""
    kernels = (m.weight for m in network.modules() if isinstance(m, nn.Conv2d))
    return torch.optim.Adam(l2_groups(network, kernels, 0.001), lr)


def _meaning(rank: int) -> Convention:
    return convention("tflearn", rank=rank)


CONVNET_LRN = RECIPES.add("convnet-lrn")(
    Recipe(
        name="convnet-lrn",
        title="2 convolutions with local response normalization, dense 128 and 256, tanh",
        source="github.com/tflearn/tflearn, convnet_mnist.py",
        build=build,
        loss=F.cross_entropy,
        optimizer=optimizer,
        lr=0.01,
        batch_size=64,
        steps=859,
        probe="dense2.1",
        default=Variant(batch_norm=False, placement="after"),
        without="the original: local response normalization where batch normalization would stand",
    )
)
