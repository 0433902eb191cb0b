"""sgd-relu: tf.contrib.layers' batch normalization, L2 on everything dense."""

import torch
from torch import nn

from evenkeel.nn import BatchNorm
from evenkeel.recipes import SGD_RELU, Variant


def network() -> nn.Module:
    torch.manual_seed(0)
    return SGD_RELU.build(SGD_RELU.default)


def test_batch_norm_is_contribs() -> None:
    norms = [m for m in network().modules() if isinstance(m, BatchNorm)]
    assert [m.spec.channels for m in norms] == [(784,), (1024,)]
    assert all(m.weight is None and m.bias is not None for m in norms)
    assert all(m.momentum == 0.001 and m.spec.eps == 1e-3 and m.spec.unbiased for m in norms)


def test_default_normalizes_after_the_activation() -> None:
    kinds = [type(m).__name__ for m in network().modules() if not list(m.children())]
    assert kinds == ["Flatten", "BatchNorm1d", "Linear", "ReLU", "BatchNorm1d", "Linear"]


def test_l2_is_on_weights_and_biases_of_dense_layers() -> None:
    decayed, others = SGD_RELU.optimizer(network(), 0.5).param_groups
    assert decayed["weight_decay"] == 0.001
    shapes = [tuple(p.shape) for p in decayed["params"]]
    assert shapes == [(1024, 784), (1024,), (10, 1024), (10,)]
    assert [tuple(p.shape) for p in others["params"]] == [(784,), (1024,)]
    assert others["weight_decay"] == 0.0


def test_first_loss_is_near_tensorflows() -> None:
    net = network()
    images = torch.rand(128, 1, 28, 28)
    loss = SGD_RELU.loss(net(images), torch.randint(0, 10, (128,)))
    dense = [p for m in net.modules() if isinstance(m, nn.Linear) for p in m.parameters()]
    term = 0.001 * sum(float(p.detach().square().sum()) for p in dense) / 2
    # TensorFlow's program printed 360.2 at step 0, L2 term included
    assert abs(float(loss.detach()) + term - 360.2) < 10


def test_without_batch_norm_the_input_is_as_it_was() -> None:
    plain = SGD_RELU.build(Variant(batch_norm=False))
    assert [name for name, _ in plain.named_children()] == ["flatten", "hidden", "logits"]
