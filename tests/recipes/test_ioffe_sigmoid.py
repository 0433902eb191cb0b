"""ioffe-sigmoid: the paper's network, and that batch normalization shows what it showed there."""

import pytest
import torch
from torch import nn

from evenkeel.nn import BatchNorm
from evenkeel.recipes import IOFFE_SIGMOID, Variant


def test_images_are_binary() -> None:
    network = IOFFE_SIGMOID.build(Variant())
    images = torch.tensor([0.0, 0.5, 0.51, 1.0]).view(1, 1, 2, 2)
    assert network.get_submodule("binarize")(images).flatten().tolist() == [0, 0, 1, 1]
    assert next(name for name, _ in network.named_children()) == "binarize"


def test_network_is_the_papers() -> None:
    network = IOFFE_SIGMOID.build(Variant(batch_norm=False))
    linear = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert [m.out_features for m in linear] == [100, 100, 100, 10]
    assert len([m for m in network.modules() if isinstance(m, nn.Sigmoid)]) == 3
    norms = [m for m in IOFFE_SIGMOID.build(Variant()).modules() if isinstance(m, BatchNorm)]
    assert [(m.spec.activation, m.spec.unbiased) for m in norms] == [("sigmoid", True)] * 3
    assert (IOFFE_SIGMOID.batch_size, IOFFE_SIGMOID.steps) == (60, 50_000)


def test_initial_weights() -> None:
    torch.manual_seed(0)
    for name, parameter in IOFFE_SIGMOID.build(Variant()).named_parameters():
        if parameter.ndim == 2:
            assert float(parameter.detach().std()) == pytest.approx(0.1, rel=0.1), name


def separable(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ten binary patterns with one pixel in six flipped: learnable in a few hundred steps."""
    patterns = torch.rand(10, 1, 28, 28) > 0.5
    labels = torch.randint(0, 10, (count,))
    flipped = torch.rand(count, 1, 28, 28) < 1 / 6
    return (patterns[labels] ^ flipped).float(), labels


def test_batch_norm_learns_earlier() -> None:
    losses = {}
    for batch_norm in (True, False):
        torch.manual_seed(0)
        images, labels = separable(600)
        network = IOFFE_SIGMOID.build(Variant(batch_norm=batch_norm))
        optimizer = IOFFE_SIGMOID.optimizer(network, IOFFE_SIGMOID.lr)
        for step in range(60):
            chosen = slice(step % 10 * 60, step % 10 * 60 + 60)
            loss = IOFFE_SIGMOID.loss(network(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        losses[batch_norm] = float(loss.detach())
    assert losses[True] < 0.5 * losses[False]
