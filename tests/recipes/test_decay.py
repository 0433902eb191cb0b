"""L2 by weight decay against the same term in the loss."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, Optimizer

from evenkeel.recipes.decay import l2_groups


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_one_step_equals_that_of_the_loss_with_the_term(kind: type[Optimizer]) -> None:
    torch.manual_seed(0)
    first = nn.Linear(4, 3)
    network = nn.Sequential(first, nn.Tanh(), nn.Linear(3, 2)).double()
    explicit, x = copy.deepcopy(network), torch.randn(7, 4, dtype=torch.float64)
    decaying = kind(l2_groups(network, [first.weight], 0.3), lr=0.1)  # type: ignore[call-arg]
    plain = kind(explicit.parameters(), lr=0.1)  # type: ignore[call-arg]
    start = first.weight.detach().clone()
    for _ in range(3):
        for net, optimizer, rate in ((network, decaying, 0.0), (explicit, plain, 0.3)):
            optimizer.zero_grad()
            loss = net(x).square().mean() + rate * net.get_parameter("0.weight").square().sum() / 2
            loss.backward()
            optimizer.step()
    for a, b in zip(network.parameters(), explicit.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert float((first.weight - start).detach().abs().max()) > 0.01


def test_groups_split_the_parameters() -> None:
    network = nn.Linear(4, 3)
    decayed, others = l2_groups(network, [network.weight], 0.1)
    assert [p is network.weight for p in decayed["params"]] == [True]
    assert [p is network.bias for p in others["params"]] == [True]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
