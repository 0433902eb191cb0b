"""lockstep: micro-batches in threads against one BatchNorm on the whole batch."""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import save_on_cpu
from torch.utils.checkpoint import checkpoint

import evenkeel as ek
from evenkeel.errors import BadOption, RanksDiffer

SIZES = [5, 1, 6]


class Net(nn.Module):
    """Two layers of batch norm; ``part`` runs the first half."""

    def __init__(self, part: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(4, 4, 2, bias=False), nn.BatchNorm2d(4), nn.Tanh())
        self.last = nn.Linear(4, 1)
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        both = nn.Sequential(self.first, self.second)
        y = self.part(both, x) if self.part else both(x)
        out: Tensor = self.last(y.flatten(1))
        return out


def pair(part: Callable[..., Any] | None = None) -> tuple[Any, Any]:
    """The model with SyncBatchNorm, and the reference."""
    torch.manual_seed(0)
    net = Net(part).double()
    torch.manual_seed(0)
    return ek.convert(net, sync=True), ek.convert(Net().double())


def batch() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(sum(SIZES), 2, 4, 4, generator=generator, dtype=torch.float64) * 3 + 5


def assert_alike(got: nn.Module, want: nn.Module) -> None:
    for (name, a), b in zip(got.state_dict().items(), want.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12, msg=name)
    for p, q in zip(got.parameters(), want.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-11, atol=1e-12)


PARTS: dict[str, Callable[..., Any] | None] = {
    "plain": None,
    "checkpoint": lambda part, x: checkpoint(part, x, use_reentrant=False),
    "no early stop": lambda part, x: checkpoint(part, x, use_reentrant=False, early_stop=False),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("on_cpu", [False, True], ids=["here", "saved on the host"])
def test_steps_are_those_of_the_whole_batch(part: str, on_cpu: bool) -> None:
    net, want = pair(PARTS[part])
    for _ in range(2):

        def step(x: Tensor) -> Tensor:
            with save_on_cpu() if on_cpu else nullcontext():
                y: Tensor = net(x).square().sum()
                return y

        torch.stack(ek.lockstep(net, torch.split(batch(), SIZES), step)).sum().backward()  # type: ignore[no-untyped-call]
        want(batch()).square().sum().backward()
        assert_alike(net, want)


def test_second_derivatives() -> None:
    net, want = pair()
    x, y = batch().requires_grad_(), batch().requires_grad_()
    outputs = torch.cat(ek.lockstep(net, torch.split(x, SIZES))), want(y)
    for given, output in zip((x, y), outputs, strict=True):
        (first,) = torch.autograd.grad(output.pow(3).sum(), given, create_graph=True)
        first.pow(2).sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-10, atol=1e-10)
    assert_alike(net, want)


def test_masks_and_weights_and_an_empty_part() -> None:
    sync, want = ek.SyncBatchNorm(3, dtype=torch.float64), ek.BatchNorm(3, dtype=torch.float64)
    x, weights = torch.randn(9, 3, dtype=torch.float64), torch.rand(9, dtype=torch.float64) + 0.5
    pairs = list(zip(torch.split(x, [4, 0, 5]), torch.split(weights, [4, 0, 5]), strict=True))
    parts = ek.lockstep(sync, pairs, lambda one: sync(one[0], weights=one[1]))
    torch.testing.assert_close(torch.cat(parts), want(x, weights=weights))
    torch.testing.assert_close(sync.running_var, want.running_var)
    assert sync.num_batches_tracked == 1


def test_images_of_several_sizes_are_one_batch() -> None:
    sync, want = ek.SyncBatchNorm(3, dtype=torch.float64), ek.BatchNorm(3, dtype=torch.float64)
    images = [torch.randn(1, 3, size, size, dtype=torch.float64) + size for size in (1, 4, 7)]
    flat = torch.cat([image.flatten(2) for image in images], 2)
    parts = ek.lockstep(sync, images)
    torch.testing.assert_close(torch.cat([part.flatten(2) for part in parts], 2), want(flat))
    torch.testing.assert_close(sync.running_var, want.running_var)


def test_modes_of_the_caller_hold_and_random_numbers_repeat() -> None:
    net, _ = pair()
    seen: list[Any] = []

    def step(x: Tensor) -> Tensor:
        seen.append((torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")))
        y: Tensor = net(x)
        return y + torch.rand(1)

    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), ek.no_update():
            drawn.append(torch.cat(ek.lockstep(net, torch.split(batch(), SIZES), step)))
    assert seen == [(False, True)] * 6
    assert torch.equal(*drawn)
    assert net.first[1].num_batches_tracked == 0


def test_an_error_in_one_ends_all_and_is_raised() -> None:
    net, _ = pair()
    before = copy.deepcopy(net.state_dict())

    def step(x: Tensor) -> Tensor:
        if len(x) == 1:
            raise KeyError("mine")
        y: Tensor = net(x)
        return y

    with pytest.raises(KeyError, match="mine"):
        ek.lockstep(net, torch.split(batch(), SIZES), step)
    assert all(torch.equal(v, before[n]) for n, v in net.state_dict().items())
    assert len(ek.lockstep(net, torch.split(batch(), SIZES))) == 3


@pytest.mark.parametrize("odd", range(3))
def test_micro_batches_on_different_paths_are_refused(odd: int) -> None:
    net, _ = pair()
    parts = torch.split(batch(), [3, 4, 5])
    with pytest.raises(RanksDiffer, match=r"first\.1"):
        ek.lockstep(net, parts, lambda x: x.sum() if x is parts[odd] else net(x))
    swapped: Any = ek.convert(nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2)), sync=True)

    def step(x: Tensor) -> Tensor:
        order = (1, 0) if len(x) == 3 + odd else (0, 1)
        y: Tensor = swapped[order[0]](x)
        return y

    with pytest.raises(RanksDiffer, match=r"one at \d, another at \d"):
        ek.lockstep(swapped, [torch.randn(n, 2) for n in (3, 4, 5)], step)


def test_a_reentrant_checkpoint_is_refused() -> None:
    net, _ = pair(lambda part, x: checkpoint(part, x, use_reentrant=True))
    outputs = ek.lockstep(net, [x.requires_grad_() for x in torch.split(batch(), SIZES)])
    with pytest.raises(BadOption, match="use_reentrant=False"):
        torch.cat(outputs).sum().backward()  # type: ignore[no-untyped-call]


def test_a_layer_that_is_called_twice_is_repeated_as_it_was() -> None:
    sync, want = ek.SyncBatchNorm(3, dtype=torch.float64), ek.BatchNorm(3, dtype=torch.float64)
    x = torch.randn(7, 3, dtype=torch.float64)
    grown = []
    for layer in (sync, want):
        given = x.clone().requires_grad_()

        def step(part: Tensor, layer: Any = layer) -> Tensor:
            y = checkpoint(lambda z: layer((layer(z) * 3).exp()), part, use_reentrant=False)
            return (y**3).sum()  # type: ignore[no-any-return]

        parts = torch.split(given, 3) if layer is sync else [given]
        losses = ek.lockstep(sync, parts, step) if layer is sync else [step(given)]
        loss: Any = torch.stack(losses).sum()
        loss.backward()
        grown.append(given.grad)
    torch.testing.assert_close(*grown, rtol=1e-10, atol=1e-10)
    assert sync.num_batches_tracked == 2


def test_a_step_after_it_is_a_plain_one() -> None:
    net, want = pair(PARTS["checkpoint"])
    for model in (net, want):
        ek.lockstep(net, torch.split(batch(), SIZES)) if model is net else model(batch())
        model(batch()).square().sum().backward()
    assert_alike(net, want)


def test_layers_that_do_not_take_part_are_refused() -> None:
    for model in (nn.BatchNorm1d(2), nn.Sequential(ek.BatchNorm1d(2))):
        with pytest.raises(BadOption, match="sync=True"):
            ek.lockstep(model, [torch.randn(3, 2)])
    with pytest.raises(BadOption, match="micro-batches"):
        ek.lockstep(ek.SyncBatchNorm(2), [])
    assert len(ek.lockstep(nn.BatchNorm1d(2).eval(), [torch.randn(3, 2)])) == 1
