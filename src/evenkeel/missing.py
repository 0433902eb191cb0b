"""Who of a group of processes is missing, asked once a message between them has failed.

Until then nothing is spent on it. Then each rank that is left closes its connections, so that others
who still wait for the one that is gone fail at once and not after the group's timeout; says in the
group's store where it is; and listens there for a while. Who says nothing is missing.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Thread
from typing import Any

import torch
from torch import distributed

from evenkeel import mailbox

LISTEN = 2.0  # seconds
_SHOWN = 8  # ranks named one by one


@dataclass(frozen=True, slots=True)
class Answers:
    """What the ranks of a group (by their numbers in the whole job) said of where they are."""

    ranks: tuple[int, ...]
    said: dict[int, str] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)

    @property
    def missing(self) -> tuple[int, ...]:
        """Those who said nothing; of a store that is gone, the rank that kept it."""
        silent = tuple(rank for rank in self.ranks if rank not in self.said)
        return (0,) if self.trouble and 0 in silent and _kept_by_rank_0() else silent

    def __str__(self) -> str:
        at: dict[str, list[int]] = {}
        for rank in sorted(self.said):
            at.setdefault(self.said[rank], []).append(rank)
        told = [f"{named(ranks)}: {place}" for place, ranks in at.items()]
        silent = [rank for rank in self.ranks if rank not in self.said]
        if silent and self.trouble:
            keeper = "rank 0 keeps it" if _kept_by_rank_0() else "torchrun keeps it"
            told.append(f"{named(silent)}: unknown, the store is out of reach ({keeper})")
        elif silent:
            told.append(f"{named(silent)}: no answer within {LISTEN:g} s")
        return "; ".join(told)


def ranks_of(group: Any) -> tuple[int, ...]:
    """The numbers of the group's processes in the whole job."""
    size = distributed.get_world_size(group)
    if group is None:
        return tuple(range(size))
    return tuple(distributed.get_global_rank(group, k) for k in range(size))


def named(ranks: Any) -> str:
    """Some ranks, for a message.

    >>> named([3]), named([0, 2]), named(range(20))
    ('rank 3', 'ranks 0, 2', 'ranks 0, 1, 2, 3, 4, 5, 6, 7 and 12 more')
    """
    listed = list(ranks)
    shown = ", ".join(map(str, listed[:_SHOWN]))
    more = len(listed) - _SHOWN
    return f"rank{'s' * (len(listed) > 1)} {shown}{f' and {more} more' if more > 0 else ''}"


def asked(group: Any, place: str) -> Answers:
    """Say where this rank is, and hear where the others are."""
    me = distributed.get_rank()
    answers = Answers(ranks_of(group), {me: place})
    _hang_up(group, [rank for rank in answers.ranks if rank != me])
    # The rank that keeps the store stays a little longer than the others.
    seconds = LISTEN + (me == 0)
    # In a thread of its own: the process that keeps the store may hold still, and a call of the store
    # would wait for ever.
    listener = Thread(target=_listen, args=(_store(group), me, seconds, answers), daemon=True)
    listener.start()
    listener.join(seconds + 0.5)
    if listener.is_alive():
        answers.trouble.append("the store does not answer")
    return answers


def _listen(store: Any, me: int, seconds: float, answers: Answers) -> None:
    end = time.monotonic() + seconds
    try:
        store.set(f"evenkeel/{me}", answers.said[me])
        while True:
            for rank in answers.ranks:
                if rank not in answers.said and store.check([f"evenkeel/{rank}"]):
                    answers.said[rank] = store.get(f"evenkeel/{rank}").decode()
            if len(answers.said) == len(answers.ranks) or time.monotonic() > end:
                return
            time.sleep(0.05 + len(answers.ranks) / 500)  # 1,000 ranks ask one store
    except RuntimeError as error:
        answers.trouble.append(str(error).splitlines()[0])


def _hang_up(group: Any, others: list[int]) -> None:
    """Close the mailbox and gloo's connections, which are of no use once one of them has failed.

    gloo closes all of them when one receive runs out of time; those to ranks that are gone fail before.
    """
    mailbox.hang_up(group)
    if distributed.get_backend(group) != "gloo":
        return
    for rank in others:
        nothing = torch.empty(1, dtype=torch.uint8)
        with suppress(RuntimeError):
            work = distributed.irecv(nothing, rank, group=group)
            if work is not None:
                work.wait(timedelta(milliseconds=1))


def _store(group: Any) -> Any:
    whole: Any = distributed.group.WORLD
    return distributed.distributed_c10d._get_process_group_store(whole if group is None else group)


def _kept_by_rank_0() -> bool:
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
