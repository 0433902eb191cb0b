"""Train in several processes of this machine: start them, pass signals on, and end them together."""

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch's omission

from evenkeel.errors import EvenkeelError
from evenkeel.train.config import RunConfig
from evenkeel.train.folder import resume_command
from evenkeel.train.interrupt import SIGNALS, Interrupted, StopWish

GRACE = 10.0  # seconds in which a process notices that another is gone; after that it is killed
TICK = 0.02


class ProcessLost(EvenkeelError):
    """A process of a run ended without a word: killed, out of memory, or crashed."""


class WorkerError(RuntimeError):
    """An error in one of the processes that is no message to a user: a bug."""


def launch(folder: Path, config: RunConfig, wish: StopWish, claim: int, *, progress: bool) -> None:
    """Train the run in ``folder`` in ``config.nproc`` processes; returns when all have ended well.

    A signal that ``wish`` caught goes to each of them once. When one fails the others end too; they
    also end with this process, however that ends. ``claim`` is the handle that keeps others out of
    the folder; each process holds it as long as it lives.

    Raises:  what the first process to fail raised; Interrupted; ProcessLost; WorkerError
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    words = worker_words(folder, progress)
    with _started(words, config.nproc, store.port, claim) as workers:
        failed = _watched(workers, wish)
        if failed:
            raise _error(failed, folder, config)


def worker_words(folder: Path, progress: bool) -> list[str]:
    """The command line of a process; see worker.py."""
    return [sys.executable, "-m", "evenkeel.train.worker", str(folder), str(int(progress))]


@dataclass(frozen=True, slots=True)
class _Worker:
    rank: int
    process: "subprocess.Popen[bytes]"
    said: IO[bytes]  # its report on failure
    errors: IO[bytes] | None  # its standard error; None where that is ours


@contextmanager
def _started(words: Sequence[str], number: int, port: int, claim: int) -> Iterator[list[_Worker]]:
    """The processes, with signals blocked until they are ready for them; none is left at the end."""
    with ExitStack() as stack:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            workers = [
                _start(stack, words, rank, environment(rank, number, port), claim)
                for rank in range(number)
            ]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield workers


def _start(
    stack: ExitStack, words: Sequence[str], rank: int, variables: dict[str, str], claim: int
) -> _Worker:
    # ruff's SIM115 knows open() inside enter_context, not tempfile's
    said = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    errors = stack.enter_context(tempfile.TemporaryFile()) if rank else None  # noqa: SIM115
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,  # never written to: it closes when this process ends
        stdout=said,
        stderr=errors,
        env={**os.environ, **variables},
        pass_fds=[claim],
        start_new_session=True,  # Ctrl-C comes to this process alone, which passes it on once
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    return _Worker(rank, process, said, errors)


def environment(rank: int, number: int, port: int) -> dict[str, str]:
    """The variables that torchrun sets, for a store that lives here."""
    values = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": number, "LOCAL_WORLD_SIZE": number}
    here = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    return {
        **{name: str(value) for name, value in values.items()},
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
        **here,
    }


def _watched(workers: Sequence[_Worker], wish: StopWish) -> list[_Worker]:
    """Wait until all have ended, or one has failed and the others had time to; those that failed."""
    passed_on, end = False, math.inf
    while time.monotonic() < end:
        codes = [worker.process.poll() for worker in workers]
        if None not in codes:
            break
        if wish.number and not passed_on:
            passed_on = True
            for worker in workers:
                worker.process.send_signal(wish.number)
        if any(codes):
            end = min(end, time.monotonic() + GRACE)
        time.sleep(TICK)
    return [worker for worker in workers if worker.process.poll()]


def _error(failed: Sequence[_Worker], folder: Path, config: RunConfig) -> BaseException:
    """The one error to show: the cause, not what it caused in the others."""
    worker = min(failed, key=_precedence)
    report = _content(worker.said)
    if _killed(worker) or not report:
        return _lost(worker, folder, config)
    said = json.loads(report)
    if said["kind"] == Interrupted.__name__:
        return Interrupted(folder, *said["stopped"])
    for kind in _kinds(EvenkeelError):
        if said["kind"] == kind.__name__:
            return kind(**said["parts"])
    error = WorkerError(f"process {worker.rank} of {config.nproc}: {said['message']}")
    error.add_note(said["trace"])
    return error


def _precedence(worker: _Worker) -> int:
    """Killed ones come first; then one with a report, which only the first to fail writes."""
    if _killed(worker):
        return 0
    return 2 - bool(_content(worker.said))


def _killed(worker: _Worker) -> bool:
    """Whether a signal ended it; an abort may be gloo's way to say that another process is gone."""
    return worker.process.returncode < 0 and worker.process.returncode != -signal.SIGABRT


def _lost(worker: _Worker, folder: Path, config: RunConfig) -> ProcessLost:
    code = worker.process.returncode
    how = f"exit code {code}" if code > 0 else signal.Signals(-code).name
    last = _content(worker.errors).decode(errors="replace").strip().splitlines()[-3:]
    memory = "if memory ran out, use fewer processes; " if code == -signal.SIGKILL else ""
    return ProcessLost(
        f"process {worker.rank} of {config.nproc} ended in the middle of the run",
        got=": ".join([how, *last]),
        do=f"{memory}go on with: {resume_command(folder)}",
    )


def _content(file: IO[bytes] | None) -> bytes:
    if file is None:
        return b""
    file.seek(0)
    return file.read()


def _kinds(kind: type[EvenkeelError]) -> Iterator[type[EvenkeelError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
