"""Threads of which one runs at a time, from one layer to the next: what ``lockstep`` is made of."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from threading import Condition, Lock
from typing import Any, NamedTuple

import torch
from torch import Tensor

from evenkeel.autograd import differentiated
from evenkeel.errors import BadOption, RanksDiffer
from evenkeel.functional.statistics import Moments

_here: ContextVar["Place | None"] = ContextVar("here", default=None)
# How many locksteps go on in all threads: without any, nothing asks the ContextVar, over which
# torch.compile stumbles.
_open = 0
_lock = Lock()


class Place(NamedTuple):
    """Where a call comes from: the number of its micro-batch, and whom it meets."""

    number: int
    turns: "Turns"


def here() -> Place | None:
    """Of which micro-batch this thread is; None outside of any lockstep."""
    return _here.get() if _open else None


class Turns:
    """Whose turn it is among ``count`` threads: from one layer to the next, and round again."""

    def __init__(self, count: int) -> None:
        self.failed: BaseException | None = None
        self._count, self._done = count, 0
        self._at: str = ""  # the layer where some wait
        self._parts: list[Any] = []  # what they have brought
        self._met: Any = None  # what was made of it
        self._turn, self._changed = 0, Condition()

    @contextmanager
    def begun(self) -> Iterator[None]:
        """While the threads live."""
        _count(1)
        try:
            yield
        finally:
            _count(-1)

    def take_part(self, index: int, work: Callable[[], None]) -> None:
        """The life of one thread; its end must be the end of all."""
        try:
            _here.set(Place(index, self))
            self._wait(index)
            work()
            self._end()
        except _GivenUp:
            pass
        except BaseException as error:  # noqa: BLE001 -- raised by lockstep, in the caller's thread
            self.failed = self.failed or error
        finally:
            self._give_on()

    def meet(self, place: Place, layer: str, part: Any, join: Callable[[list[Any]], Any]) -> Any:
        """Wait at a layer until all are there; the last one joins what they have brought."""
        if self._done or (self._parts and layer != self._at):
            raise _apart(layer, "the end" if self._done else self._at)
        self._at = layer
        self._parts.append(part)
        if len(self._parts) == self._count:
            parts, self._parts = self._parts, []
            self._met = join(parts)
        self._give_on()
        self._wait(place.number)
        return self._met

    def _end(self) -> None:
        self._done += 1
        if self._parts:
            raise _apart(self._at, "the end")

    def _give_on(self) -> None:
        with self._changed:
            self._turn = (self._turn + 1) % self._count
            self._changed.notify_all()

    def _wait(self, index: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._turn == index or self.failed is not None)
        if self.failed is not None:
            raise _GivenUp


def outside_checkpoints() -> AbstractContextManager[Any]:
    """Work for all micro-batches, which a checkpoint around one of them must not keep or repeat."""

    def same(tensor: Tensor) -> Tensor:
        return tensor

    return torch.autograd.graph.saved_tensors_hooks(same, same)


class Met(NamedTuple):
    """A micro-batch's own mean, what it was normalized by, and whether a graph leads there."""

    own: Tensor
    mean: Tensor
    var: Tensor
    in_graph: bool


def remembered(own: Moments, whole: Moments) -> Met:
    """What a recomputation needs, without the graph."""
    own_mean, mean, var = (part.detach() for part in (own.mean, whole.mean, whole.var))
    return Met(own_mean, mean, var, differentiated(own.mean))


def met_before(met: list[Met], own: Moments) -> Moments:
    """What a micro-batch, known by its own mean, was normalized by; for its recomputation.

    Raises:  BadOption for a checkpoint that begins a graph of its own, which does not reach the others
    """
    found = [one for one in met if torch.equal(one.own, own.mean)]
    in_graph = bool(found) and found[0].in_graph
    if not found or (differentiated(own.mean) and not in_graph):
        raise BadOption(
            "the backward pass repeats a micro-batch of a lockstep in another way",
            got="a reentrant checkpoint, or a forward pass that depends on more than its input",
            do="use torch.utils.checkpoint.checkpoint(..., use_reentrant=False)",
        )
    mean, var = (part.detach().requires_grad_(in_graph) for part in found[0][1:3])
    return Moments(mean, var, own.count)


class _GivenUp(BaseException):
    """Ends the other threads after an error in one."""


def _apart(one: str, other: str) -> RanksDiffer:
    return RanksDiffer(
        "the micro-batches of a lockstep do not come to the same layers",
        got=f"one at {one}, another at {other}",
        do="give all the same path through the model, or use ek.accumulated instead",
    )


def _count(more: int) -> None:
    global _open
    with _lock:
        _open += more
