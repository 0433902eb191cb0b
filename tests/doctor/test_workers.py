"""Several processes: statistics that differ, layers that one skips, small batches."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn

from evenkeel.doctor import diagnose


class Net(nn.Module):
    def __init__(self, skips: bool) -> None:
        super().__init__()
        self.one, self.two = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
        self.skips = skips

    def forward(self, x: Tensor) -> Any:
        y = self.one(x)
        return y if self.skips else self.two(y)


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    model = Net(skips=rank == 1)
    torch.as_tensor(model.one.running_mean).add_(rank)
    data = [torch.randn(16, 4, generator=torch.Generator().manual_seed(rank)) for _ in range(4)]
    found = diagnose(model, data, select=["EK5"]).findings
    told = "\n".join(f"{f.code} {f.place} {f.number:.2f}" for f in found)
    Path(folder, f"found{rank}").write_text(told)
    distributed.destroy_process_group()


def test_two_workers() -> None:
    with tempfile.TemporaryDirectory() as folder:
        spawn(work, (folder,), nprocs=2)  # type: ignore[no-untyped-call]
        told = [Path(folder, f"found{rank}").read_text().splitlines() for rank in range(2)]
    common = ["EK503 two 4.00", "EK501 one 16.00"]
    assert told[0] == [*common, "EK501 two 16.00", "EK502 one 1.00"]
    assert told[1] == [*common, "EK502 one 1.00"]
