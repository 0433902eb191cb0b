"""The processes that train one network together: who this one is, and what all of them say."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed.rendezvous import rendezvous

from evenkeel.errors import BadOption, RanksDiffer

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
FAILED = 1
PATIENCE = timedelta(minutes=5)
"""How long a process waits for the others: scoring and writing a checkpoint take less."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Process ``rank`` of ``size``; every method is called by all of them, in the same order.

    Values travel by way of the CPU; those of gradients and statistics do not pass here.

    >>> Ranks().total(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def part(self, total: int) -> slice:
        """Which of ``total`` examples are this process's: in the order of ranks, longer ones first.

        >>> [Ranks(rank, 3).part(8) for rank in range(3)]
        [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
        """
        least, more = divmod(total, self.size)
        start = self.rank * least + min(self.rank, more)
        return slice(start, start + least + (self.rank < more))

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, the same bits on each."""
        if self.size == 1:
            return values
        found = values.detach().cpu().clone()
        distributed.all_reduce(found)
        return found

    def largest(self, values: Sequence[int]) -> list[int]:
        """The largest of each number over all processes."""
        if self.size == 1:
            return list(values)
        found = torch.tensor(values)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return found.tolist()

    def gathered(self, values: Tensor) -> Tensor:
        """The values of all processes, [N], in the order of ranks; each may have another N."""
        if self.size == 1:
            return values
        lengths = [0] * self.size
        lengths[self.rank] = len(values)
        lengths = self.largest(lengths)
        padded = values.new_zeros(max(lengths))
        padded[: len(values)] = values
        parts = [torch.empty_like(padded) for _ in lengths]
        distributed.all_gather(parts, padded)
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    def told(self, text: str) -> str:
        """What the first process says."""
        if self.size == 1:
            return text
        content = text.encode() if self.first else b""
        [length] = self.largest([len(content)])
        said = torch.tensor([*content] or [0] * length, dtype=torch.uint8)
        distributed.broadcast(said, 0)
        return bytes(said.tolist()).decode()

    def check_same(self, what: str, value: str) -> None:
        """Go on only where all processes have the same value.

        Raises:  RanksDiffer on every process
        """
        odd = int(self.told(value) != value)
        if self.largest([odd]) != [0]:
            raise RanksDiffer(
                f"the processes do not have the same {what}",
                got=f"process {self.rank}: {value}",
                do="give all of them the same version, data and run folder",
            )

    def wait(self) -> None:
        """Wait until all are here."""
        self.largest([0])


ALONE = Ranks()


def started_with() -> Ranks:
    """Which process a launcher made this one, by torchrun's environment variables; else alone.

    Raises:  BadOption when one of them is missing or no number
    """
    given = {name: os.environ.get(name, "") for name in VARIABLES}
    if given["WORLD_SIZE"] in ("", "1"):
        return ALONE
    numbers = (text for name, text in given.items() if name != "MASTER_ADDR")
    if not given["MASTER_ADDR"] or not all(text.isdigit() for text in numbers):
        raise BadOption(
            "the environment speaks of many processes, but not of all that they need to meet",
            got=", ".join(f"{name}={text}" for name, text in given.items()),
            do="start with torchrun --no-python evenkeel train, or give --nproc, or unset WORLD_SIZE",
        )
    return Ranks(int(given["RANK"]), int(given["WORLD_SIZE"]))


@contextmanager
def joined(ranks: Ranks) -> Iterator[Ranks]:
    """Meet the other processes; the group ends with the block, unless that fails.

    After an error the process is to end, which tells the others: leaving the group first would let
    their complaints come before the cause. The first to fail raises its error, the others exit.
    """
    if ranks.size == 1 or distributed.is_initialized():
        yield ranks
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
    distributed.init_process_group(
        backend, store=store, rank=rank, world_size=size, timeout=PATIENCE
    )
    try:
        yield ranks
    except BaseException as error:
        if not _first_to_fail(store, error):
            sys.exit(FAILED)
        raise
    distributed.destroy_process_group()


def _first_to_fail(store: Any, error: BaseException) -> bool:
    """Whether no other process failed before this one: one error is shown, not what it causes."""
    if isinstance(error, RanksDiffer):
        time.sleep(1)  # it may be about another's error, which is to come first
    with suppress(RuntimeError):  # the store may be gone
        return int(store.add("evenkeel/failures", 1)) == 1
    return True
