"""What each of four processes does in the tests of SyncBatchNorm: its part, beside the whole batch.

One start for all cases. The whole group of four, by shared memory, and its halves of two, by gloo, run
each case; the reference is BatchNorm on the whole batch, in the same process and in float64.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import evenkeel as ek
from evenkeel import mailbox
from evenkeel.mailbox import Mailbox

WORLD = 4
SPLITS: dict[str, tuple[int, ...]] = {  # examples of each rank; the halves take the first two
    "equal": (4, 4, 4, 4),
    "unequal": (5, 2, 7, 1),
    "one empty": (6, 0, 3, 5),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A layer with its options, and what goes into it beside the batch."""

    options: Mapping[str, Any] = field(default_factory=dict)
    residual: bool = False
    weights: str = ""  # "mask" or "weights"
    channels: int = 16  # of so many sums some do not cancel, and the error is relative to those


CASES = {
    "plain": Case(),
    "tanh and residual": Case({"activation": "tanh"}, residual=True),
    "elu": Case({"activation": "elu", "running_var": "biased"}),
    "no affine": Case({"affine": False, "momentum": None}),
    "last axis": Case({"channel_axis": -1}),
    "two axes": Case({"channel_axis": (1, 3)}),
    "population": Case({"running": ek.Population()}),
    "mask": Case({"activation": "silu"}, residual=True, weights="mask"),
    "weights": Case(weights="weights"),
    "wide": Case(channels=700),  # more than fits one message
}


def kinds(name: str) -> tuple[torch.dtype, ...]:
    return (torch.float64,) if name == "wide" else (torch.float32, torch.float64)


@dataclass(frozen=True, slots=True)
class Place:
    """A group, and this process's number in it."""

    group: Any
    rank: int
    size: int

    def part(self, split: str) -> slice:
        sizes = SPLITS[split][: self.size]
        start = sum(sizes[: self.rank])
        return slice(start, start + sizes[self.rank])

    def total(self, split: str) -> int:
        return sum(SPLITS[split][: self.size])

    def summed(self, value: Tensor) -> Tensor:
        done = value.detach().clone()
        distributed.all_reduce(done, group=self.group)
        return done


def distance(part: Tensor, whole: Tensor) -> float:
    """The largest difference, relative to the largest value; infinite for a NaN."""
    if part.numel() == 0:
        return 0.0
    part, whole = part.detach().double(), whole.detach().double()
    found = (part - whole).abs().max() / whole.abs().max().clamp_min(1e-30)
    return float(found) if bool(found.isfinite()) else float("inf")


def inputs(case: Case, total: int, dtype: torch.dtype) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(total)
    axes = case.options.get("channel_axis", 1)
    shape = (total, 4, 2, case.channels) if axes == -1 else (total, case.channels, 2, 4)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    names = ("x", "residual", "factor", "along")
    made = {name: normal(*shape) for name in names}
    made["x"] = made["x"] * 2 + 3
    positions = [n for axis, n in enumerate(shape) if axis != len(shape) - 1 or axes != -1]
    if axes == 1:
        positions = [total, 2, 4]
    made["weights"] = normal(*positions).abs() + 1
    made["mask"] = normal(*positions) > -0.5
    return made


def ran(layer: nn.Module, case: Case, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Output, first and second derivatives of one call. Those of parameters are named with ∂."""
    x = given["x"].clone().requires_grad_()
    leaves = {"dx": x, **{f"∂{name}": p for name, p in layer.named_parameters()}}
    options: dict[str, Tensor] = {}
    if case.residual:
        options["residual"] = given["residual"].clone().requires_grad_()
        leaves["dresidual"] = options["residual"]
    if case.weights:
        options[case.weights] = given[case.weights].clone()
    if case.weights == "weights":
        leaves["dweights"] = options["weights"].requires_grad_()
    y = layer(x, **options)
    loss = (y.square() * given["factor"]).sum()
    first = {
        name: torch.zeros_like(leaf) if gradient is None else gradient  # of an empty part's weights
        for (name, leaf), gradient in zip(
            leaves.items(),
            torch.autograd.grad(loss, tuple(leaves.values()), create_graph=True, allow_unused=True),
            strict=True,
        )
    }
    turned = (first["dx"] * given["along"]).sum()
    again = torch.autograd.grad(turned, tuple(leaves.values()), allow_unused=True)
    second = {
        f"{name} again": torch.zeros_like(leaf) if gradient is None else gradient
        for (name, leaf), gradient in zip(leaves.items(), again, strict=True)
    }
    return {"y": y, **first, **second}


def compared(
    case: Case, split: str, dtype: torch.dtype, place: Place, layers: tuple[nn.Module, nn.Module]
) -> dict[str, float]:
    given = inputs(case, place.total(split), dtype)
    part = place.part(split)
    exact = {n: t.double() if t.is_floating_point() else t for n, t in given.items()}
    whole = ran(layers[0], case, exact)
    mine = ran(layers[1], case, {name: value[part] for name, value in given.items()})
    found = {}
    for name, value in whole.items():
        if "∂" in name:
            found[name] = distance(place.summed(mine[name]), value)
        else:
            found[name] = distance(mine[name], value[part])
    buffers = dict(layers[1].named_buffers())
    for name, value in layers[0].named_buffers():
        found[name] = distance(buffers[name], value)
    return found


def whole_batch(name: str, dtype: torch.dtype, split: str, place: Place) -> dict[str, float]:
    case = CASES[name]
    axes = case.options.get("channel_axis", 1)
    sizes: Any = case.channels if isinstance(axes, int) else (case.channels, 4)
    torch.manual_seed(1)
    plain = ek.BatchNorm(sizes, dtype=torch.float64, **case.options)  # of f32 inputs, in f64
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.copy_(torch.empty_like(parameter).uniform_(0.5, 1.5).to(dtype))
    sync = ek.SyncBatchNorm(sizes, dtype=dtype, group=place.group, **case.options)
    sync.load_state_dict(plain.state_dict())
    return compared(case, split, dtype, place, (plain, sync))


def twenty_steps(dtype: torch.dtype, split: str, place: Place) -> dict[str, float]:
    """A small net, trained on the whole batch and in parts."""
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
    ).to(dtype)
    plain = ek.convert(net)
    sync = ek.convert(plain, to="sync", group=place.group)
    total, part = place.total(split), place.part(split)
    generator = torch.Generator().manual_seed(3)
    for _ in range(20):
        x = torch.randn(total, 2, 4, 4, generator=generator, dtype=torch.float64).to(dtype)
        labels = torch.randint(3, (total,), generator=generator)
        for model, rows in ((plain, slice(total)), (sync, part)):
            model.zero_grad()
            loss = F.cross_entropy(model(x[rows]), labels[rows], reduction="sum") / total
            loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                for parameter in model.parameters():
                    step = parameter.grad
                    assert step is not None
                    parameter.sub_(step if model is plain else place.summed(step), alpha=0.05)
    pairs = zip(plain.state_dict().items(), sync.state_dict().values(), strict=True)
    return {name: distance(b, a) for (name, a), b in pairs}


@contextmanager
def counted() -> Iterator[list[str]]:
    """The collectives and letters that go out inside, by name and bytes."""
    calls: list[str] = []
    kept = distributed.all_gather, distributed.all_reduce, Mailbox.exchange

    def gather(every: Any, mine: Tensor, **options: Any) -> Any:
        calls.append(f"all_gather {mine.numel() * mine.element_size()}")
        return kept[0](every, mine, **options)

    def reduce(sums: Tensor, **options: Any) -> Any:
        calls.append(f"all_reduce {sums.numel() * sums.element_size()}")
        return kept[1](sums, **options)

    def exchange(box: Mailbox, mine: Tensor) -> Tensor:
        calls.append(f"mailbox {mine.numel()}")
        return kept[2](box, mine)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed, "all_gather", gather)
        patch.setattr(distributed, "all_reduce", reduce)
        patch.setattr(Mailbox, "exchange", exchange)
        yield calls


def opened(group: Any, shared: bool) -> None:
    """What the group's first exchange does: find out whether its ranks share memory, or say no."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENKEEL_MAILBOX", "on" if shared else "off")
        assert (mailbox.of(group) is not None) == (shared and mailbox._is_possible())


def messages(shared: bool) -> dict[str, list[str]]:
    """What a step sends, by a mailbox, or as between machines."""
    group = distributed.new_group()
    layer = ek.SyncBatchNorm(512, group=group)
    x = torch.randn(2, 512, requires_grad=True)
    with counted() as forward:
        opened(group, shared=shared)
        y = layer(x)
    with counted() as backward:
        y.sum().backward()
    with counted() as inference:
        layer.eval()(x)
    with counted() as wide:
        ek.SyncBatchNorm(514, group=group)(torch.randn(2, 514))
    return {"forward": forward, "backward": backward, "eval": inference, "wide": wide}


def under_ddp(rank: int) -> float:
    """Two forwards before one backward, in DistributedDataParallel, which averages over ranks."""
    torch.manual_seed(4)
    parts = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1)
    whole = ek.convert(nn.Sequential(*parts).double())
    sync = nn.parallel.DistributedDataParallel(ek.convert(whole, to="sync"))
    inputs = [torch.randn(12, 2, 4, 4, dtype=torch.float64) for _ in range(2)]
    for model, rows, times in ((whole, slice(12), 1), (sync, slice(3 * rank, 3 * rank + 3), WORLD)):
        outputs = [model(x[rows]) for x in inputs]
        (times * sum(y.square().sum() for y in outputs)).backward()
    pairs = zip(whole.parameters(), sync.parameters(), strict=True)
    return max(float((p.grad - q.grad).abs().max()) for p, q in pairs)  # type: ignore[operator]


def checkpointed() -> list[float]:
    """The batches counted, and how far the gradient is from that without torch.utils.checkpoint."""
    x, again = torch.randn(4, 3, requires_grad=True), ek.SyncBatchNorm(3)
    checkpoint(again, x, use_reentrant=False).square().sum().backward()
    first, x.grad = x.grad, None
    ek.SyncBatchNorm(3)(x).square().sum().backward()
    assert again.num_batches_tracked is not None
    return [float(again.num_batches_tracked), float((first - x.grad).abs().max())]  # type: ignore[operator]


def caught(work: Callable[[], object]) -> list[str]:
    try:
        work()
    except Exception as error:  # noqa: BLE001 -- reported by its name
        return [type(error).__name__, str(error)]
    return ["nothing", ""]


def disagreements(rank: int) -> dict[str, list[str]]:
    odd = rank == 1
    first, second = ek.SyncBatchNorm(3), ek.SyncBatchNorm(3)
    first.place, second.place = "stem.bn", "head.bn"
    x = torch.randn(4, 3)
    channels = 4 if odd else 3
    wide = 900 if odd else 3
    dtype = torch.float64 if odd else torch.float32
    return {
        "channels": caught(lambda: ek.SyncBatchNorm(channels)(torch.randn(2, channels))),
        "message length": caught(lambda: ek.SyncBatchNorm(wide)(torch.randn(2, wide))),
        "dtype": caught(lambda: first(x.to(dtype))),
        "half": caught(lambda: first(x.half() if odd else x)),
        "layer": caught(lambda: (second if odd else first)(x)),
        "gradients": caught(lambda: grads(x, odd)),
        "shape": caught(lambda: first(torch.randn(4, 5) if odd else x)),
        "all empty": caught(lambda: first(torch.empty(0, 3))),
        "one value": caught(lambda: first(torch.randn(1 if odd else 0, 3))),
        "negative": caught(lambda: first(x, weights=torch.full((4,), -1.0 if odd else 1.0))),
        "in peace": caught(lambda: first(x)),
    }


def grads(x: Tensor, wanted: bool) -> Tensor:
    with torch.set_grad_enabled(wanted):
        y: Tensor = ek.SyncBatchNorm(3)(x.clone().requires_grad_())
        return y


def run(rank: int, folder: str) -> None:
    """The whole life of one process; its findings go to a file."""
    torch.set_num_threads(1)
    store = distributed.FileStore(  # type: ignore[attr-defined]
        f"{folder}/store", WORLD
    )
    distributed.init_process_group(
        "gloo", store=store, rank=rank, world_size=WORLD, timeout=timedelta(seconds=30)
    )
    halves = [distributed.new_group(ranks) for ranks in ([0, 1], [2, 3])]
    opened(halves[rank // 2], shared=False)
    places = (Place(None, rank, WORLD), Place(halves[rank // 2], rank % 2, 2))
    found: dict[str, Any] = {
        "messages": messages(shared=False),
        "letters": messages(shared=True),
        "disagreements": disagreements(rank),
    }
    found |= {"ddp": under_ddp(rank), "checkpoint": checkpointed()}
    for place in places:
        for split in SPLITS:
            for name in CASES:
                for dtype in kinds(name):
                    key = f"{name}, {dtype}, {split}, {place.size}"
                    found[key] = whole_batch(name, dtype, split, place)
            for dtype in (torch.float32, torch.float64):
                key = f"twenty steps, {dtype}, {split}, {place.size}"
                found[key] = twenty_steps(dtype, split, place)
    if rank != 3:  # which has gone
        alone = ek.SyncBatchNorm(3, group=places[1].group)
        found["gone"] = caught(lambda: alone(torch.randn(4, 3))) if rank == 2 else ["", ""]
    Path(f"{folder}/{rank}.json").write_text(json.dumps(found))
    if rank < 2:
        distributed.destroy_process_group()
