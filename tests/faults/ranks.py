"""What one process of a group does in the tests of faults: healthy steps, then its part of a fault."""

import json
import os
import signal
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from threading import Timer
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]

import evenkeel as ek
from evenkeel.peers import Peers, explained

TIMEOUT = 4.0  # seconds, of the group
HEALTHY = 1  # steps before the fault
EXCHANGES = 4  # of a step: two layers, forward and backward
NEVER = 60.0
PHASES = (
    "",
    "forward 1",
    "forward 2",
    "backward 2",
    "backward 1",
    "the next step, or DDP's own",
)
KINDS_OF_MODEL = ("skip", "repeat", "shape", "linear", "channels", "dtype", "layer", "extra")


@dataclass(frozen=True, slots=True)
class Fault:
    """What ``victim`` does, and when.

    ``at``: the number of an exchange in its step (1, 2 forward, 3, 4 backward); 5 is the next step's
    first, or with ``ddp`` the all_reduce of DistributedDataParallel's. ``inside``: once it has begun.
    ``halves``: the layers' groups are [0, 1] and [2, 3]. ``mailbox``: the ranks share memory.
    """

    kind: str
    at: int = 1
    inside: bool = False
    world: int = 2
    victim: int = 1
    ddp: bool = False
    halves: bool = False
    mailbox: bool = True

    def __str__(self) -> str:
        around = "DDP" if self.ddp else "halves" if self.halves else "plain"
        around += ", mailbox" if self.mailbox else ", gloo"
        ranks = f"rank {self.victim} of {self.world}, {around}"
        return f"{self.kind}, {ranks}" if self.kind in KINDS_OF_MODEL else self._timed(ranks)

    def _timed(self, ranks: str) -> str:
        when = "inside" if self.inside else "before"
        return f"{self.kind} {when} {PHASES[self.at]}, {ranks}"

    @property
    def exchange(self) -> int:
        """The number in its group of the exchange that fails."""
        return HEALTHY * EXCHANGES + self.at


class Net(nn.Module):
    """Two normalized layers, of which the second can be left out or run again."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.between = ek.BatchNorm1d(6), nn.Linear(6, 6)
        self.second, self.last = ek.BatchNorm1d(6), nn.Linear(6, 2)
        self.times = 1

    def forward(self, x: Tensor) -> Tensor:
        x = self.between(self.first(x))
        for _ in range(self.times):
            x = self.second(x)
        y: Tensor = self.last(x)
        return y


class Player:
    """Counts this process's exchanges, and plays the fault's part at the right one."""

    def __init__(self, fault: Fault, rank: int, folder: Path) -> None:
        self.fault, self.rank, self.folder = fault, rank, folder
        self.calls, self.gather, self.step = 0, Peers._gathered, 0
        setattr(Peers, "_gathered", lambda *args: self.gathered(*args))  # noqa: B010  # mypy

    @property
    def victim(self) -> bool:
        return self.rank == self.fault.victim

    def gathered(self, *args: Any) -> Any:
        self.calls += 1
        if self.calls == self.fault.exchange and not (self.fault.ddp and self.fault.at == 5):
            if not self.fault.inside:
                self.play()
            elif self.victim:
                Timer(0.3, self.play).start()
            else:
                time.sleep(0.8)
        return self.gather(*args)

    def play(self) -> None:
        """What ends this process, if that is its part."""
        if not self.victim or self.fault.kind not in ("kill", "stop", "exit", "raise", "other"):
            return
        self.mark()
        if self.fault.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault.kind == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if self.fault.kind == "exit":
            sys.exit(0)
        if self.fault.kind == "raise":
            raise ValueError("planted")
        if self.fault.kind == "other":
            with explained():
                distributed.all_reduce(torch.ones(3))

    def mark(self) -> None:
        """The moment of the fault."""
        (self.folder / "began").write_text(str(time.monotonic()))


def store_of(rank: int, world: int, folder: Path) -> Any:
    """Rank 0 keeps it; a file tells the others where."""
    told, begun = folder / "port", folder / "port.new"
    if rank == 0:
        store = TCPStore("127.0.0.1", 0, world, is_master=True, wait_for_workers=False)
        begun.write_text(str(store.port))
        begun.rename(told)
        return store
    while not told.exists():
        time.sleep(0.01)
    return TCPStore("127.0.0.1", int(told.read_text()), world, is_master=False)


def prepared(fault: Fault, rank: int, folder: Path) -> nn.Module:
    torch.set_num_threads(1)
    timeout = timedelta(seconds=TIMEOUT)
    os.environ["EVENKEEL_MAILBOX"] = "on" if fault.mailbox else "off"
    store = store_of(rank, fault.world, folder)
    store.set(f"here {rank}", "")  # the short timeout begins when all have started
    store.wait([f"here {k}" for k in range(fault.world)], timedelta(seconds=NEVER))
    distributed.init_process_group(
        "gloo", store=store, rank=rank, world_size=fault.world, timeout=timeout
    )
    group = None
    if fault.halves:
        groups = [distributed.new_group(part, timeout) for part in ([0, 1], [2, 3])]
        group = groups[rank // 2]
    torch.manual_seed(0)
    model = ek.convert(Net(), to="sync", group=group)
    return nn.parallel.DistributedDataParallel(model) if fault.ddp else model


def during_ddp(model: nn.Module, player: Player) -> None:
    """Play the part when the last gradient is there, and DDP adds up."""

    def hook(_: Tensor) -> None:
        if player.step == HEALTHY:
            player.play()

    net: Any = model.module
    net.first.weight.register_post_accumulate_grad_hook(hook)


def change(model: nn.Module, x: Tensor, fault: Fault) -> tuple[nn.Module, Tensor]:
    """The victim's model and batch, for faults that lie in these."""
    net: Any = model.module if fault.ddp else model
    if fault.kind in ("skip", "repeat"):
        net.times = 0 if fault.kind == "skip" else 2
    if fault.kind == "shape":
        x = torch.randn(8, 7)
    if fault.kind == "linear":
        net.between = nn.Linear(5, 6)
    if fault.kind == "channels":
        net.second, net.last = ek.SyncBatchNorm(12), nn.Linear(12, 2)
        net.second.place, net.between = "second", nn.Linear(6, 12)
    if fault.kind == "dtype":
        model, x = model.double(), x.double()
    if fault.kind == "layer":
        net.second.place = "third"
    return model, x


def steps(fault: Fault, model: nn.Module, player: Player) -> None:
    x = torch.randn(8, 6, requires_grad=True)
    if fault.ddp and fault.at == 5:
        during_ddp(model, player)
    for step in range(HEALTHY + 3):
        player.step = step
        if step == HEALTHY and player.victim and fault.kind in KINDS_OF_MODEL:
            player.mark()
            model, x = change(model, x, fault)
        if step == HEALTHY + 1 and fault.kind == "extra" and not player.victim:
            return
        with explained() if fault.ddp else nullcontext():
            y = model(x)
            y.square().sum().backward()


def run(fault: Fault, rank: int, folder: Path) -> None:
    """The whole life of one process; what it met goes to a file."""
    os.dup2(os.open(folder / f"{rank}.err", os.O_WRONLY | os.O_CREAT), 2)
    model = prepared(fault, rank, folder)
    player = Player(fault, rank, folder)
    try:
        steps(fault, model, player)
    except Exception as error:
        end = time.monotonic()
        began = float((folder / "began").read_text())
        met = {"error": type(error).__name__, "text": str(error), "seconds": end - began}
        (folder / f"{rank}.json").write_text(json.dumps(asdict(fault) | met))
        raise
