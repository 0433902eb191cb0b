"""What each process does for measure_sync.py: collectives alone, one layer, and whole steps."""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

import evenkeel as ek
from evenkeel import mailbox
from evenkeel.peers import Peers
from evenkeel.recipes import RECIPES, Variant

SIZES = (256, 1024, 4232, 16384, 65536, 262144)
Jobs = dict[str, Callable[[], object]]


def turn_by_turn(jobs: Jobs, seconds: float) -> dict[str, dict[str, float]]:
    """Median and tenth percentile of each job's seconds; the ranks begin each job together."""
    for job in jobs.values():
        for _ in range(3):
            job()
    times: dict[str, list[float]] = {name: [] for name in jobs}
    going, end = torch.ones(1), time.perf_counter() + seconds
    while bool(going):
        for name, job in jobs.items():
            distributed.barrier()
            start = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - start)
        going[0] = time.perf_counter() < end
        distributed.broadcast(going, 0)
    return {
        name: {"median": statistics.median(t), "fast": sorted(t)[len(t) // 10], "runs": len(t)}
        for name, t in times.items()
    }


def without_mailbox() -> Any:
    """A group whose messages go by gloo."""
    os.environ["EVENKEEL_MAILBOX"] = "off"
    group = distributed.new_group()
    mailbox.of(group)
    del os.environ["EVENKEEL_MAILBOX"]
    return group


def bare(seconds: float) -> list[dict[str, Any]]:
    """Each collective alone, by bytes."""
    world, box, rows = distributed.get_world_size(), mailbox.of(None), []
    for size in SIZES:
        mine = torch.zeros(size, dtype=torch.uint8)
        every = list(mine.new_empty(world, size).unbind(0))
        numbers = torch.zeros(size // 4)
        jobs: Jobs = {
            "all_gather": lambda e=every, m=mine: distributed.all_gather(e, m),  # type: ignore[misc]
            "all_reduce": lambda n=numbers: distributed.all_reduce(n),  # type: ignore[misc]
        }
        if box is not None and size <= mailbox.ROOM:
            jobs["mailbox"] = lambda m=mine: box.exchange(m)  # type: ignore[misc]
        rows.append({"bytes": size, **turn_by_turn(jobs, seconds)})
    return rows


def layer(seconds: float) -> list[dict[str, Any]]:
    """One layer, forward and backward: sync, not sync, and the collectives that it needs alone."""
    rows = []
    world, gloo = distributed.get_world_size(), without_mailbox()
    mine = torch.zeros(4232, dtype=torch.uint8)
    every = list(mine.new_empty(world, 4232).unbind(0))
    for shape in ((32, 24, 7, 7), (64, 64, 14, 14)):
        x, dy = torch.randn(shape, requires_grad=True), torch.randn(shape)
        sums = torch.zeros(2 * shape[1] + 1)

        def passes(made: nn.Module, x: Tensor = x, dy: Tensor = dy) -> Callable[[], object]:
            def run() -> None:
                made(x).backward(dy)
                x.grad = None

            return run

        def gathers() -> None:
            distributed.all_gather(every, mine)
            distributed.all_gather(every, mine)

        def classic(sums: Tensor = sums) -> None:
            distributed.all_gather(every, mine)
            distributed.all_reduce(sums)

        jobs: Jobs = {
            "sync": passes(ek.SyncBatchNorm(shape[1], activation="relu")),
            "sync by gloo": passes(ek.SyncBatchNorm(shape[1], activation="relu", group=gloo)),
            "plain": passes(ek.BatchNorm2d(shape[1], activation="relu")),
            "two all_gather": gathers,
            "all_gather and all_reduce": classic,
        }
        rows.append({"x": list(shape), **turn_by_turn(jobs, seconds)})
    return rows


def resnet() -> nn.Module:
    """ResNet-50 of transformers'."""
    import transformers

    net = transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=10))
    return nn.Sequential(net, _Logits())


class _Logits(nn.Module):
    def forward(self, output: Any) -> Tensor:
        logits: Tensor = output.logits
        return logits


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv20, 64 a rank": (lambda: RECIPES["conv20"].build(Variant()), (64, 1, 28, 28)),
    "conv20, 256 a rank": (lambda: RECIPES["conv20"].build(Variant()), (256, 1, 28, 28)),
    "ResNet-50, 32 a rank": (resnet, (32, 3, 64, 64)),
}


def step_of(model: nn.Module, shape: tuple[int, ...]) -> Callable[[], object]:
    """A training step on one batch."""
    x, labels = torch.randn(shape), torch.randint(10, shape[:1])
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()

    return step


def counted(step: Callable[[], object]) -> dict[str, int]:
    """Messages and bytes that this rank sends in a step for the layers."""
    found = {"messages": 0, "bytes": 0}
    kept = Peers._gathered

    def gathered(peers: Peers, message: Tensor) -> Tensor:
        found["messages"] += 1
        found["bytes"] += message.numel()
        return kept(peers, message)

    Peers._gathered = gathered  # type: ignore[method-assign]
    try:
        step()
    finally:
        Peers._gathered = kept  # type: ignore[method-assign]
    return found


def steps(seconds: float, names: list[str]) -> list[dict[str, Any]]:
    """A training step under DistributedDataParallel, with and without sync."""
    rows = []
    gloo = without_mailbox()
    for name in names:
        build, shape = NETWORKS[name]
        torch.manual_seed(0)
        plain = ek.convert(build())
        made = {
            "sync": ek.convert(plain, to="sync"),
            "plain": plain,
            "sync by gloo": ek.convert(plain, to="sync", group=gloo),
        }
        jobs: Jobs = {
            side: step_of(DistributedDataParallel(model), shape) for side, model in made.items()
        }
        jobs["sync"]()
        told = counted(jobs["sync"])
        found = turn_by_turn(jobs, seconds)
        ratios = {
            f"{side}, ratio": found[side]["median"] / found["plain"]["median"]
            for side in ("sync", "sync by gloo")
        }
        layers = sum(isinstance(m, ek.SyncBatchNorm) for m in made["sync"].modules())
        rows.append({"network": name, "layers": layers, **told, **ratios, **found})
    return rows


PARTS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "bare": bare,
    "layer": layer,
    "steps": steps,
}


def run(
    rank: int, world: int, address: str, part: str, arguments: tuple[Any, ...], told: Any
) -> None:
    """The whole life of one process."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=world)
    rows = PARTS[part](*arguments)
    if rank == 0:
        told.put(rows)
        told.close()
        told.join_thread()
    distributed.barrier()
    os._exit(0)  # gloo's threads may end after torch
