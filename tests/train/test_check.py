import math
import re
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from evenkeel.data import Batches, Dataset, Split
from evenkeel.nn import BatchNorm1d, BatchNorm2d
from evenkeel.train.check import check_inference


def layers(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def permuted(network: nn.Module) -> None:
    for layer in layers(network):
        assert layer.running_mean is not None
        assert layer.running_var is not None
        layer.running_mean.copy_(layer.running_mean.roll(1))
        layer.running_var.copy_(layer.running_var.roll(1))


def means_of_one_layer_off(network: nn.Module) -> None:
    mean, var = layers(network)[1].running_mean, layers(network)[1].running_var
    assert mean is not None
    assert var is not None
    mean[::2] += 2 * var[::2].sqrt()


def means_of_one_layer_permuted(network: nn.Module) -> None:
    """Predictions survive this: the other layer makes up for it on easy images."""
    mean = layers(network)[1].running_mean
    assert mean is not None
    mean.copy_(mean.roll(5))
    assert mean.std() > 0.1


def variances_tiny(network: nn.Module) -> None:
    for layer in layers(network):
        assert layer.running_mean is not None
        assert layer.running_var is not None
        layer.running_mean.mul_(3)
        layer.running_var.mul_(1e-4)


def initial(network: nn.Module) -> None:
    for layer in layers(network):
        layer.reset_running_stats()


def initial_in_one_layer_with_the_counter_kept(network: nn.Module) -> None:
    layer = layers(network)[0]
    updates = layer.num_batches_tracked
    assert updates is not None
    kept = int(updates)
    layer.reset_running_stats()
    updates.fill_(kept)


def not_a_number(network: nn.Module) -> None:
    mean = layers(network)[1].running_mean
    assert mean is not None
    mean[3] = torch.nan


def infinite_variance(network: nn.Module) -> None:
    var = layers(network)[0].running_var
    assert var is not None
    var[0] = torch.inf


def test_a_trained_network_passes(trained: nn.Module, digits: Dataset) -> None:
    check = check_inference(trained, digits.test)
    assert check.passed, check.reason
    assert check.images == 100
    assert check.agreement >= 95
    assert check.accuracy >= 0.9
    assert [(gap.layer, gap.channels, gap.updates) for gap in check.layers] == [
        ("1", 8, 60),
        ("5", 32, 60),
    ]
    assert all(0 < gap.mean_gap < 0.5 and 0 < gap.var_gap < 0.7 for gap in check.layers)
    assert check.reason.startswith(f"{check.agreement} of 100 predictions agree")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (permuted, r"only \d+ of 100 predictions agree .* furthest from the batch's in [15]"),
        (means_of_one_layer_off, r"only \d+ of 100 .* furthest from the batch's in 5"),
        (means_of_one_layer_permuted, "running means of 5 are [01].[0-9]+ standard deviations"),
        (variances_tiny, r"only \d+ of 100"),
        (initial, "running statistics of 1 were never updated"),
        (initial_in_one_layer_with_the_counter_kept, "statistics of 1 still have their initial"),
        (not_a_number, "running statistics of 5 are not finite"),
        (infinite_variance, "running statistics of 1 are not finite"),
    ],
)
def test_a_network_with_harmed_statistics_fails(
    trained: nn.Module, digits: Dataset, harm: Callable[[nn.Module], None], reason: str
) -> None:
    with torch.no_grad():
        harm(trained)
    check = check_inference(trained, digits.test)
    assert not check.passed
    assert re.search(reason, check.reason), check.reason


@pytest.mark.parametrize("build", [BatchNorm2d, nn.BatchNorm2d])
def test_a_network_trained_without_updates_fails(
    build: type[nn.BatchNorm2d], digits: Dataset
) -> None:
    """Momentum 0 counts batches but never moves the statistics: the seeds' classical mistake."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=4), build(8, momentum=0.0), nn.Flatten(), nn.Linear(288, 10)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for images, labels in Batches(digits.train, 64, seed=0, stop=30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    check = check_inference(network, digits.test)
    assert check.layers[0].updates == 30
    assert not check.passed
    assert check.reason == "running statistics of 1 still have their initial values"


def test_the_network_is_not_touched(trained: nn.Module, digits: Dataset) -> None:
    trained.get_submodule("5").eval()
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    modes = [module.training for module in trained.modules()]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    check_inference(trained, digits.test)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in trained.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    assert not any(module._forward_pre_hooks for module in trained.modules())


def test_gaps_are_those_of_the_definition() -> None:
    torch.manual_seed(0)
    x = 3 * torch.randn(500, 4, 3, 3) + torch.tensor([0.0, 1, -5, 20])[:, None, None]
    layer = BatchNorm2d(4)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    layer.running_mean.copy_(torch.tensor([1.0, 1, -4, 15]))
    layer.running_var.copy_(torch.tensor([9.0, 4.5, 18, 9]))
    network = nn.Sequential(layer, nn.Flatten(), nn.Linear(36, 10))
    split = Split(x, torch.zeros(500, dtype=torch.int64))
    [gap] = check_inference(network, split).layers
    channels = x.double().transpose(0, 1).reshape(4, -1).numpy()
    mean, var = channels.mean(1), channels.var(1)
    running_mean, running_var = [1.0, 1, -4, 15], [9.0, 4.5, 18, 9]
    mean_gap = sum(abs(m - r) / v**0.5 for m, r, v in zip(mean, running_mean, var, strict=True)) / 4
    ratios = [v / r for v, r in zip(var, running_var, strict=True)]
    var_gap = sum(abs(math.log(ratio)) for ratio in ratios) / 4
    assert gap.mean_gap == pytest.approx(mean_gap, rel=1e-4)
    assert gap.var_gap == pytest.approx(var_gap, rel=1e-4)


def test_a_dead_channel_is_no_gap() -> None:
    layer = BatchNorm1d(2)
    assert layer.running_var is not None
    assert layer.running_mean is not None
    layer.running_var[0] = 0
    layer.running_mean[1] = 1e-9
    layer.num_batches_tracked.fill_(1)  # type: ignore[union-attr]
    network = nn.Sequential(nn.Flatten(), layer)
    x = torch.stack([torch.zeros(50), torch.randn(50)], 1)[:, :, None, None]
    [gap] = check_inference(network, Split(x, torch.zeros(50, dtype=torch.int64))).layers
    assert gap.mean_gap < 0.3
    assert gap.var_gap < 0.5


def test_deeper_layers_see_what_batch_statistics_make_of_the_input(digits: Dataset) -> None:
    """The reference is the whole network in training mode on the same images."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 20), BatchNorm1d(20, activation="relu"), nn.Linear(20, 10)
    )
    for images, _ in Batches(digits.train, 64, seed=0, stop=20):
        network(images)
    images = digits.test.images
    reference = deepcopy(network).train()(images)[:100].argmax(1)
    single = deepcopy(network).eval()(images[:100]).argmax(1)
    check = check_inference(network, digits.test)
    assert check.agreement == int((reference == single).sum())
    assert check.accuracy == float((single == digits.test.labels[:100]).double().mean())


def test_single_images_are_scored_one_at_a_time(digits: Dataset) -> None:
    sizes = []

    class Counting(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            sizes.append(len(input))
            return super().forward(input)

    network = nn.Sequential(nn.Flatten(), Counting(784, 10))
    check = check_inference(network, digits.test)
    assert sizes.count(1) == 100
    assert check.passed
    assert check.reason == "no batch normalization layers"
    assert check.layers == ()


def test_a_split_smaller_than_100_images_is_used_whole(trained: nn.Module, digits: Dataset) -> None:
    split = Split(digits.test.images[:40], digits.test.labels[:40])
    check = check_inference(trained, split)
    assert check.images == 40
    assert check.passed
    permuted_network = deepcopy(trained)
    with torch.no_grad():
        permuted(permuted_network)
    assert not check_inference(permuted_network, split).passed


def test_layers_with_another_channel_axis_are_read_on_that_axis(digits: Dataset) -> None:
    class Last(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.permute(0, 2, 3, 1)

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 6, 5, stride=4),
        Last(),
        BatchNorm2d(6, channel_axis=-1, activation="relu"),
        nn.Flatten(),
        nn.Linear(216, 10),
    )
    for images, _ in Batches(digits.train, 64, seed=0, stop=60):
        network(images)
    check = check_inference(network, digits.test)
    assert check.layers[0].channels == 6
    assert check.layers[0].mean_gap < 0.3
    assert check.passed
