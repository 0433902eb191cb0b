"""Messages by shared memory: what arrives, and what happens when nothing does."""

import json
import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing

from evenkeel import mailbox

pytestmark = pytest.mark.skipif(
    not mailbox._is_possible(), reason="mailboxes are for Linux on x86-64"
)
ROUNDS = 1000


def orders(rank: int, world: int) -> bool:
    """Every message arrives whole and once, though ranks are late by turns and sizes differ."""
    box = mailbox.of(None)
    assert box is not None
    for k in range(ROUNDS):
        size = 1 + (k * 7919) % mailbox.ROOM
        if k % 97 == rank:
            time.sleep(0.002)
        got = box.exchange(torch.full((size,), (k + 31 * rank) % 251, dtype=torch.uint8))
        want = torch.tensor([(k + 31 * r) % 251 for r in range(world)], dtype=torch.uint8)
        if not torch.equal(got, want.unsqueeze(1).expand(-1, size)):
            return False
    return True


def failing(rank: int, ends: Callable[[], None]) -> tuple[str, float]:
    """What rank 0 meets when rank 1 ends its part, and after how long."""
    box = mailbox.of(None)
    assert box is not None
    box.exchange(torch.zeros(8, dtype=torch.uint8))
    if rank == 1:
        ends()
    start = time.monotonic()
    try:
        box.exchange(torch.zeros(8, dtype=torch.uint8))
    except RuntimeError as error:
        return str(error), time.monotonic() - start
    return "nothing", 0.0


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def quiet() -> None:
    time.sleep(4)


def hung_up() -> None:
    mailbox.hang_up(None)
    time.sleep(1)


def not_shared(rank: int, world: int) -> bool:
    """One rank that cannot open the file leaves all without."""
    if rank == 1:
        os.environ["EVENKEEL_MAILBOX"] = "off"
    return mailbox.of(None) is None


def full(rank: int, world: int) -> bool:
    """No room in the folder: no mailbox, and no file is left."""
    mailbox._bytes = lambda size: 1 << 50
    return mailbox.of(None) is None


def by_groups(rank: int, world: int) -> bool:
    """Each group has its own."""
    halves = [distributed.new_group([0, 1]), distributed.new_group([2, 3])]
    mine = halves[rank // 2]
    box, whole = mailbox.of(mine), mailbox.of(None)
    assert box is not None and whole is not None
    said = torch.tensor([rank], dtype=torch.uint8)
    near = box.exchange(said).flatten().tolist()
    return near == [rank // 2 * 2, rank // 2 * 2 + 1] and whole.exchange(said).numel() == world


def work(rank: int, folder: str, world: int, job: Any, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    mailbox._FOLDER = folder
    meet = f"file://{folder}/meet"
    distributed.init_process_group("gloo", meet, timedelta(seconds=2), rank=rank, world_size=world)
    told = job(rank, *arguments)
    Path(folder, f"{rank}.json").write_text(json.dumps(told))
    os._exit(0)  # ranks that were left hold gloo's threads


def told(folder: Path, world: int, job: Any, *arguments: Any) -> list[Any]:
    """What each rank found; None of one that was killed."""
    context = multiprocessing.get_context("spawn")
    every = [
        context.Process(target=work, args=(rank, str(folder), world, job, arguments))
        for rank in range(world)
    ]
    for process in every:
        process.start()
    for process in every:
        process.join(60)
    assert not list(folder.glob("evenkeel-*"))
    files = [folder / f"{rank}.json" for rank in range(world)]
    return [json.loads(file.read_text()) if file.exists() else None for file in files]


@pytest.mark.parametrize("world", [2, 3])
def test_every_message_arrives_whole(tmp_path: Path, world: int) -> None:
    assert told(tmp_path, world, orders, world) == [True] * world


@pytest.mark.parametrize(
    ("ends", "words", "seconds"),
    [
        (killed, "the process of rank 1 of the group ended", 1.0),
        (quiet, "no message from rank 1 of the group in 2 s", 3.0),
        (hung_up, "rank 1 of the group gave up", 0.5),
    ],
)
def test_a_rank_that_is_gone_is_an_error(
    tmp_path: Path, ends: Callable[[], None], words: str, seconds: float
) -> None:
    said, waited = told(tmp_path, 2, failing, ends)[0]
    assert words in said
    assert waited < seconds + 2


@pytest.mark.parametrize("job", [not_shared, full])
def test_all_have_it_or_none(tmp_path: Path, job: Callable[[int, int], bool]) -> None:
    assert told(tmp_path, 2, job, 2) == [True, True]


def test_each_group_has_its_own(tmp_path: Path) -> None:
    assert told(tmp_path, 4, by_groups, 4) == [True] * 4
