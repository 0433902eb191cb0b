"""Messages between the processes of a group that all run on one machine: memory that all of them map.

gloo takes 4 KiB through four threads and two sockets: 250 to 500 µs between two processes of a machine
with two cores, 1 ms in the midst of other work. A store that the other process sees takes 20 to 40 µs.
A rank's slots are two, in turn: who writes the next message has seen that all have begun the last one,
so all have read the one before it.
"""

import mmap
import os
import platform
import sys
import tempfile
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, finalize

import torch
from torch import Tensor, distributed

ROOM = 64 * 1024  # bytes of a message: of a layer of 8,000 channels
_FOLDER = "/dev/shm"
_LINE = 64  # bytes between the ranks' numbers: a cache line each
_TOLD = 256  # bytes of what the ranks tell each other to find the memory
_SPIN, _LOOK = 1e-3, 0.05  # seconds of looking without a pause; between looks whether all live
_BACKENDS = ("gloo", "mpi")  # that take messages from the CPU

_boxes: WeakKeyDictionary[Any, "Mailbox | None"] = WeakKeyDictionary()


class Mailbox:
    """This rank's end of memory that the ranks of a group share; ``file`` is locked by ``_alive``."""

    def __init__(self, file: int, rank: int, size: int, seconds: float) -> None:
        self._file, self._rank, self._seconds, self._call = file, rank, seconds, 0
        finalize(self, os.close, file)
        memory = mmap.mmap(file, _bytes(size))
        # Of each rank the number of its last message; −1 minus that once it gave up.
        self._turns = memoryview(memory)[: size * _LINE].cast("q")[:: _LINE // 8]
        slots = torch.frombuffer(memory, dtype=torch.uint8, offset=size * _LINE)
        self._slots = slots.view(2, size, ROOM)
        self._others = [k for k in range(size) if k != rank]

    def exchange(self, message: Tensor) -> Tensor:
        """The messages of all ranks, one a row, each as long as this one.

        Raises:  RuntimeError when another rank ended, gave up, or sent nothing in the group's timeout
        """
        self._call += 1
        slot, size = self._slots[self._call & 1], message.numel()
        slot[self._rank, :size] = message
        if self._turns[self._rank] < 0:
            raise RuntimeError("this rank gave up before")
        # x86-64 shows stores to others in their order: who sees the number sees the message.
        self._turns[self._rank] = self._call
        try:
            self._wait()
        except BaseException:
            self.hang_up()
            raise
        return slot[:, :size].clone()

    def hang_up(self) -> None:
        """Let whoever waits for another message of this rank fail at once."""
        sent = self._turns[self._rank]
        self._turns[self._rank] = min(sent, -1 - sent)

    def _wait(self) -> None:
        """Until every other rank has sent as many messages as this one."""
        turns, call, begun, looked, pause = self._turns, self._call, time.monotonic(), 0.0, 1e-5
        for rank in self._others:
            while (sent := turns[rank]) < call:
                waited = time.monotonic() - begun
                if sent < 0:
                    if -1 - sent >= call:
                        break
                    raise RuntimeError(f"rank {rank} of the group gave up")
                if waited < _SPIN:
                    os.sched_yield()
                    continue
                if waited - looked > _LOOK:
                    looked = waited
                    self._check(rank, waited)
                time.sleep(pause)
                pause = min(2 * pause, 1e-3)

    def _check(self, rank: int, waited: float) -> None:
        """Raise RuntimeError when there is nothing to wait for."""
        if waited > self._seconds:
            raise RuntimeError(f"no message from rank {rank} of the group in {self._seconds:g} s")
        if _locked(self._file, rank) and 0 <= self._turns[rank] < self._call:
            raise RuntimeError(f"the process of rank {rank} of the group ended")


def of(group: Any) -> Mailbox | None:
    """The group's mailbox, opened by the first exchange; None where its ranks share no memory.

    Raises:  RuntimeError when the others cannot be asked for it
    """
    group = distributed.group.WORLD if group is None else group
    if group not in _boxes:
        able = distributed.get_backend(group) in _BACKENDS
        _boxes[group] = _opened(group) if able else None
    return _boxes[group]


def hang_up(group: Any) -> None:
    """Let the group's ranks that wait for this one fail at once."""
    box = _boxes.get(distributed.group.WORLD if group is None else group)
    if box is not None:
        box.hang_up()


def _opened(group: Any) -> Mailbox | None:
    """All ranks ask each other: a mailbox is for all of them, or for none."""
    rank, size = distributed.get_rank(group), distributed.get_world_size(group)
    path, file = "", None
    try:
        if _is_possible():
            path = _made(size) if rank == 0 else ""
            file = _alive(_all(f"{_machine()} {path}", group), rank)
        else:
            _all("", group)
        if all(_all("" if file is None else "open", group)) and file is not None:
            box = Mailbox(file, rank, size, _timeout(group).total_seconds())
            file = None
            return box
    finally:
        if path:
            Path(path).unlink()  # the memory lasts as long as somebody maps it
        if file is not None:
            os.close(file)
    return None


def _alive(told: list[str], rank: int) -> int | None:
    """The file of rank 0, if all are on one machine, with this rank's byte of it locked.

    The lock says that the process lives: the system takes it away with the process, however it ends.
    """
    machines = {text.partition(" ")[0] for text in told}
    path = told[0].partition(" ")[2]
    if len(machines) > 1 or not path:
        return None
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return None
    if _locked(file, rank, keep=True):
        return file
    os.close(file)
    return None


def _locked(file: int, rank: int, keep: bool = False) -> bool:
    """Whether this process could lock a rank's byte, which no other process held."""
    import fcntl  # Linux alone has all that is used here

    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, rank)
    except OSError:
        return False
    if not keep:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, rank)
    return True


def _is_possible() -> bool:
    here = sys.platform == "linux" and platform.machine() == "x86_64"
    return here and os.environ.get("EVENKEEL_MAILBOX") != "off"


def _made(size: int) -> str:
    """A file whose memory is there; no name where there is not enough."""
    with suppress(OSError):
        file, path = tempfile.mkstemp(prefix="evenkeel-", dir=_FOLDER)
        try:
            os.posix_fallocate(file, 0, _bytes(size))
        except OSError:
            Path(path).unlink()
            raise
        finally:
            os.close(file)
        return path
    return ""


def _bytes(size: int) -> int:
    return size * _LINE + 2 * size * ROOM


def _machine() -> str:
    """What tells this machine, since it was started, from all others."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _timeout(group: Any) -> timedelta:
    options = group._get_backend(torch.device("cpu")).options
    return getattr(options, "_timeout", None) or distributed.default_pg_timeout


def _all(text: str, group: Any) -> list[str]:
    """What every rank says, in few bytes."""
    mine = torch.frombuffer(bytearray(text.encode().ljust(_TOLD, b"\0")), dtype=torch.uint8)
    every = mine.new_empty(distributed.get_world_size(group), _TOLD)
    distributed.all_gather(list(every.unbind(0)), mine, group=group)
    return [row.numpy().tobytes().rstrip(b"\0").decode() for row in every]
