"""What each of two processes does in the tests of agreement; its findings go to a file."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

import evenkeel as ek
from nn.sync_ranks import caught

SIZES = (10, 4)  # examples of each rank


def batch(rank: int) -> Tensor:
    generator = torch.Generator().manual_seed(rank)
    return torch.randn(SIZES[rank], 3, generator=generator) * (rank + 1) + 5 * rank


def model(running: ek.Population | None = None) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 3), ek.BatchNorm1d(3, running=running))


def statistics(layer: Any) -> dict[str, list[float] | float]:
    return {name: value.tolist() for name, value in layer.named_buffers()}


def merged(rank: int, running: ek.Population | None, **options: Any) -> dict[str, Any]:
    net = model(running)
    for part in torch.split(batch(rank), 2):
        net[1](part)
    own = statistics(net[1])
    ek.sync_statistics(net, **options)
    return {"own": own, "merged": statistics(net[1])}


def run(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = distributed.FileStore(  # type: ignore[attr-defined]
        f"{folder}/store", len(SIZES)
    )
    distributed.init_process_group(
        "gloo",
        store=store,
        rank=rank,
        world_size=len(SIZES),
        timeout=timedelta(seconds=30),
    )
    torch.manual_seed(0)
    net = model()
    found: dict[str, Any] = {"same": [str(d) for d in ek.check_ranks(net)]}
    net[1](batch(rank))
    other = model() if rank else nn.Sequential(nn.Linear(3, 3), ek.BatchNorm1d(3, eps=0.5))
    found["moved"] = [difference.name for difference in ek.check_ranks(net)]
    found["other"] = [str(difference) for difference in ek.check_ranks(other)]
    found["population"] = merged(rank, ek.Population())
    found["by batches"] = merged(rank, None)
    found["by count"] = merged(rank, None, count=SIZES[rank])
    found["average"] = merged(rank, None, how="average")
    unlike = nn.Sequential(nn.Linear(3, 3), ek.BatchNorm1d(3 + rank))
    found["unlike"] = caught(lambda: ek.sync_statistics(unlike))
    Path(f"{folder}/{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()
