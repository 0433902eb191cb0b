"""Several processes, each with a part of the data, that must come to the same statistics."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed

from evenkeel.errors import BadData, BadOption
from evenkeel.functional.statistics import Moments


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
        mine = [Moments(*(_here(value) for value in part)) for part in parts]
        return [
            Moments(part[0].to(device), part[1].to(device), part[2])
            for theirs in self._gathered(mine)
            for part in theirs
        ]

    def union(self, names: Iterable[str]) -> list[str]:
        """All names that any process has, each once, in one order."""
        mine = list(names)
        if self.alone:
            return mine
        return list(dict.fromkeys(name for theirs in self._gathered(mine) for name in theirs))

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
        told = self._gathered("" if failed is None else type(failed).__name__)
        if failed is not None:
            raise failed
        wrong = {rank: name for rank, name in enumerate(told) if name}
        if wrong:
            raise BadData(
                "another process could not go on; no statistics were changed",
                got=", ".join(f"{name} on rank {rank}" for rank, name in wrong.items()),
                do="look at its own message",
            )

    def _gathered(self, mine: Any) -> list[Any]:
        every: list[Any] = [None] * distributed.get_world_size(self._group)
        distributed.all_gather_object(every, mine, group=self._group)
        return every


def _here(value: Any) -> Any:
    return value.cpu() if isinstance(value, torch.Tensor) else value
