"""Messages counted, and what of them is told apart, in one process that plays two."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

import evenkeel as ek
from evenkeel import mailbox, peers
from evenkeel.errors import RanksDiffer
from evenkeel.missing import Answers
from evenkeel.peers import BLOCK, HEADER, Peers, Said, explained
from evenkeel.recipes import RECIPES, Variant

Sent = list[int]
SAID = Said("stem.bn", 3, torch.float32, gradient=True, positions=8, count=8.0)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """The bytes of each message to another rank, which says the same as this one."""
    sizes: Sent = []

    def all_gather(every: list[Tensor], mine: Tensor, group: Any = None) -> None:
        sizes.append(mine.numel() * mine.element_size())
        for row in every:
            row.copy_(mine)

    class World:
        """A group without processes."""

        WORLD = type("Group", (), {})()

    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda group=None: 2)
    monkeypatch.setattr(distributed, "group", World)
    monkeypatch.setattr(distributed, "all_gather", all_gather)
    monkeypatch.setattr(mailbox, "of", lambda group: None)  # of processes on several machines
    return sizes


def in_one_message(channels: int, numbers: int) -> Sent:
    """The messages that so many numbers a channel, and a count on the way back, take."""
    size = 4 * (2 * channels + numbers)
    return [HEADER + BLOCK, *([size - BLOCK] if size > BLOCK else [])]


def resnet50() -> nn.Module:
    import transformers

    net: nn.Module = transformers.ResNetForImageClassification(transformers.ResNetConfig())
    return net


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int, int]] = {
    "conv20": (lambda: RECIPES["conv20"].build(Variant()), (4, 1, 28, 28), 40, 169_280),
    "ResNet-50": (resnet50, (2, 3, 64, 64), 128, 604_108),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_messages_and_bytes_of_a_step(sent: Sent, name: str) -> None:
    build, shape, messages, size = NETWORKS[name]
    model = ek.convert(ek.convert(build()), to="sync").train()
    y = model(torch.randn(shape))
    (y if isinstance(y, Tensor) else y.logits).sum().backward()
    layers = [m.spec.channels[0] for m in model.modules() if isinstance(m, ek.SyncBatchNorm)]
    wanted = [s for c in layers for s in in_one_message(c, 0) + in_one_message(c, 1)]
    assert sorted(sent) == sorted(wanted)
    assert (len(sent), sum(sent)) == (messages, size)


def test_inference_sends_nothing(sent: Sent) -> None:
    ek.SyncBatchNorm(3).eval()(torch.randn(4, 3))
    assert sent == []


def test_what_is_said_and_sent_comes_back_from_every_rank(sent: Sent) -> None:
    values = torch.randn(2, 600, dtype=torch.float64)
    told, parts = Peers().exchange(SAID._replace(native=True), values)
    assert [(t.layer, t.positions, t.count, t.native) for t in told] == [
        ("stem.bn", 8, 8.0, True)
    ] * 2
    assert all(torch.equal(part, values) for part in parts)
    assert Peers().exchange(SAID, values)[0][0].call == told[0].call + 1
    assert len(sent) == 4


@pytest.mark.parametrize(
    "other",
    [
        SAID._replace(layer="head.bn"),
        SAID._replace(channels=4),
        SAID._replace(dtype=torch.float64),
        SAID._replace(gradient=False),
        SAID._replace(backward=True),
    ],
    ids=["layer", "channels", "dtype", "gradients", "direction"],
)
def test_a_rank_that_says_otherwise_is_named(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, other: Said
) -> None:
    kept = distributed.all_gather

    def all_gather(every: list[Tensor], mine: Tensor, group: Any = None) -> None:
        kept(every, mine)
        call = peers._unpacked(memoryview(mine.numpy().data)).call
        every[1].copy_(peers._message(other._replace(call=call), mine[:0]))

    monkeypatch.setattr(distributed, "all_gather", all_gather)
    with pytest.raises(RanksDiffer, match="rank 1: exchange ") as found:
        Peers().exchange(SAID, torch.zeros(2, 3))
    assert str(other) in str(found.value)
    assert str(SAID) in str(found.value)


def test_the_sum_is_differentiated_by_a_sum(sent: Sent) -> None:
    x = torch.randn(5, requires_grad=True)
    Peers().total(x, SAID).square().sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.allclose(x.grad, 8 * x)
    assert sent == [HEADER + BLOCK] * 2


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), explained():
        torch.randn(2, 3) @ torch.randn(2, 3)


def test_who_is_missing() -> None:
    told = Answers((0, 1, 2, 3), {1: "at exchange 7", 3: "at exchange 7"})
    assert told.missing == (0, 2)
    assert str(told) == "ranks 1, 3: at exchange 7; ranks 0, 2: no answer within 2 s"


@pytest.mark.parametrize(("agent", "missing"), [("False", (0,)), ("True", (0, 2))])
def test_without_the_store_its_keeper_is_missing(
    monkeypatch: pytest.MonkeyPatch, agent: str, missing: tuple[int, ...]
) -> None:
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", agent)
    told = Answers((0, 1, 2), {1: "at exchange 7"}, ["Connection reset by peer"])
    assert told.missing == missing
    assert "the store is out of reach" in str(told)
