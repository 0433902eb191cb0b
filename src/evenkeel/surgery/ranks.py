"""Several processes, each with a part of the data, that must come to the same statistics."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed

from evenkeel.errors import BadData, BadOption
from evenkeel.functional.statistics import Moments
from evenkeel.messages import told


class Ranks:
    """The processes of a ``torch.distributed`` group; None for this one alone."""

    def __init__(self, group: Any = None) -> None:
        self._group = group
        if group is not None and not (distributed.is_available() and distributed.is_initialized()):
            raise BadOption(
                "group= takes a group of torch.distributed, which has not begun",
                got=repr(group),
                do="call torch.distributed.init_process_group first, or leave group= out",
            )

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self._group is None

    def together(self, parts: list[Moments], device: torch.device) -> list[Moments]:
        """The parts of all processes, in the order of their ranks: the same everywhere."""
        if self.alone:
            return parts
        return [
            Moments(part[0].to(device), part[1].to(device), part[2])
            for theirs in told(parts, self._group)
            for part in theirs
        ]

    def union(self, names: Iterable[str]) -> list[str]:
        """All names that any process has, each once, in one order."""
        mine = list(names)
        if self.alone:
            return mine
        return list(dict.fromkeys(name for theirs in told(mine, self._group) for name in theirs))

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """A piece of work after which all processes go on, or none does.

        Raises:  what the work raised; BadData where it failed in another process
        """
        if self.alone:
            yield
            return
        failed: BaseException | None = None
        try:
            yield
        except BaseException as error:  # noqa: BLE001 -- raised below, once the others know
            failed = error
        every = told("" if failed is None else type(failed).__name__, self._group)
        if failed is not None:
            raise failed
        wrong = {rank: name for rank, name in enumerate(every) if name}
        if wrong:
            raise BadData(
                "another process could not go on; no statistics were changed",
                got=", ".join(f"{name} on rank {rank}" for rank, name in wrong.items()),
                do="look at its own message",
            )
