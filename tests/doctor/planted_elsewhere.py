"""Faults outside of a model's layers: padded sequences, checkpoints on disk, two processes.

A row is a code, how it was planted, in what, and a function that gives the report and where it must be.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn

from doctor.healthy import BATCH, batches_for, trained
from evenkeel.checkpoint import write_bundle
from evenkeel.doctor import Report, diagnose, judge
from evenkeel.doctor.checkpoints import observe_checkpoint
from evenkeel.surgery.sites import sites

Look = Callable[[Path], tuple[Report, tuple[str, ...]]]
ROWS: list[tuple[str, str, str, Look]] = []
LENGTH = 40


class Sequences(nn.Module):
    """A network over sequences [N, L] or [N, C, L], by what comes before its normalization."""

    def __init__(self, first: nn.Module, width: int) -> None:
        super().__init__()
        self.first, self.bn = first, nn.BatchNorm1d(width)
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Any:
        y = self.first(x)
        y = y.transpose(1, 2) if x.ndim == 2 else y
        return self.head(self.bn(y).relu().amax(2))


def _sequences(kind: str, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Batches of sequences of many lengths, filled up with 0 to the longest."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(8):
        lengths = torch.randint(10, LENGTH, (BATCH,), generator=generator)
        here = torch.arange(LENGTH) < lengths[:, None]
        labels = torch.randint(0, 4, (BATCH,), generator=generator)
        if kind == "text":
            x = torch.randint(1, 50, (BATCH, LENGTH), generator=generator) * here
        else:
            x = torch.randn(BATCH, 3, LENGTH, generator=generator) * here[:, None]
        batches.append((x, labels))
    return batches


def _padded(kind: str) -> Look:
    def look(_: Path) -> tuple[Report, tuple[str, ...]]:
        torch.manual_seed(0)
        first = {
            "speech": nn.Conv1d(3, 16, 5, padding=2, bias=False),
            "text": nn.Embedding(50, 16, padding_idx=0),
            "points": nn.Conv1d(3, 16, 1, bias=False),
        }
        model = Sequences(first[kind], 16)
        for x, _labels in _sequences(kind, 1) * 10:
            model(x)
        return diagnose(model, _sequences(kind, 2)), ("bn",)

    return look


ROWS += [
    ("EK110", "padding", f"{kind} network", _padded(kind)) for kind in ("speech", "text", "points")
]

NETWORKS = ("ResNet", "RegNet", "MobileNetV2")
SUFFIXES = dict(zip(NETWORKS, (".pt", ".safetensors", ".ckpt"), strict=True))


def _written(state: dict[str, Tensor], folder: Path, suffix: str) -> Path:
    path = folder / f"model{suffix}"
    if suffix == ".pt":
        torch.save(state, path)
    elif suffix == ".safetensors":
        save_file({name: value.contiguous() for name, value in state.items()}, path)
    else:
        arrays = {name.replace(".", "/"): value.numpy() for name, value in state.items()}
        write_bundle(str(path), arrays)
    return path


def _orphan(network: str) -> Look:
    def look(folder: Path) -> tuple[Report, tuple[str, ...]]:
        model = trained(network)
        path = list(sites(model))[1].path
        lost = {f"{path}.running_mean", f"{path}.running_var"}
        state = {name: value for name, value in model.state_dict().items() if name not in lost}
        return _judged(state, path, folder, SUFFIXES[network])

    return look


def _per_activation(network: str) -> Look:
    def look(folder: Path) -> tuple[Report, tuple[str, ...]]:
        model = trained(network)
        path = list(sites(model))[1].path
        state = model.state_dict()
        for name in ("weight", "bias", "running_mean", "running_var"):
            state[f"{path}.{name}"] = state[f"{path}.{name}"].repeat(49)
        return _judged(state, path, folder, SUFFIXES[network])

    return look


def _judged(
    state: dict[str, Tensor], path: str, folder: Path, suffix: str
) -> tuple[Report, tuple[str, ...]]:
    place = path.replace(".", "/") if suffix == ".ckpt" else path
    return judge(observe_checkpoint(_written(state, folder, suffix))), (place,)


for network in NETWORKS:
    kind = f"{network} as {SUFFIXES[network]}"
    ROWS.append(("EK701", "statistics not saved", kind, _orphan(network)))
    ROWS.append(("EK702", "a vector for each activation", kind, _per_activation(network)))


class Skipping(nn.Module):
    """Hands its input on in one worker."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        return x if distributed.get_rank() else self.inner(x)


def _small(model: nn.Module) -> tuple[str, ...]:
    return ()


def _differs(model: nn.Module) -> tuple[str, ...]:
    site = list(sites(model))[1]
    torch.as_tensor(site.module.running_mean).add_(
        distributed.get_rank() * torch.as_tensor(site.module.running_var).sqrt() / 4
    )
    return (site.path,)


def _skips(model: nn.Module) -> tuple[str, ...]:
    path = list(sites(model))[2].path
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, Skipping(model.get_submodule(path)))
    return (f"{path}.inner",)


FAULTS = {"EK501": _small, "EK502": _differs, "EK503": _skips}


def _work(rank: int, folder: str, code: str, network: str, model: nn.Module) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    images = 1 if code == "EK501" else BATCH
    model = copy.deepcopy(model)  # spawn's tensors are shared between the processes
    places = FAULTS[code](model)
    batches = [
        (x[images * rank :][:images], y[images * rank :][:images]) for x, y in batches_for(network)
    ]
    if code != "EK501":  # the same images: workers see the same, but for what was planted
        batches = batches_for(network)
    report = diagnose(model, batches, ignore=["EK2"] if code == "EK501" else ())
    if rank == 0:
        torch.save((report.trace.to_json(), places), f"{folder}/{code}{network}")
    distributed.destroy_process_group()


def _workers(code: str, network: str) -> Look:
    def look(folder: Path) -> tuple[Report, tuple[str, ...]]:
        from evenkeel.doctor import Trace

        arguments = (str(folder), code, network, trained(network))
        spawn(_work, arguments, nprocs=2)  # type: ignore[no-untyped-call]
        text, places = torch.load(folder / f"{code}{network}")
        report = judge(Trace.from_json(text), ignore=["EK2"] if code == "EK501" else ())
        few = [
            x.path
            for x in report.trace.layers
            if 0 < min((c.count for c in x.calls), default=0) < 32
        ]
        return report, tuple(places) or tuple(few)

    return look


HOW = {
    "EK501": "one image a worker",
    "EK502": "a worker's statistics moved",
    "EK503": "one worker skips",
}
ROWS += [
    (code, HOW[code], network, _workers(code, network)) for code in FAULTS for network in NETWORKS
]
