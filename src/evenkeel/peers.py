"""What the processes of a group tell each other in one message, and must agree on to read it.

A message begins with a header of fixed size, and its own size is fixed too, so that ranks which are
at different layers, or at layers of different sizes, still exchange whole messages and see it. What
does not fit goes in a second message, once all have agreed on its size.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, distributed

from evenkeel import mailbox, missing
from evenkeel.errors import BadOption, RanksDiffer

# What is the same on all ranks: numbers, then the layer's name. Then what is each rank's own.
_SAME, _OWN = struct.Struct("<4q72s"), struct.Struct("<qdq")
HEADER = _SAME.size + _OWN.size
# Bytes of values in the first message: 2 numbers for each of 512 channels in float32, and a count. Up
# to 16 KiB a message costs the same on gloo (docs/sync_faults.md).
BLOCK = 4104
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_FAILED = -1
_FORWARD, _WITHOUT, _BACKWARD = range(3)


class Said(NamedTuple):
    """What a rank says of itself before its values: where it is, and of what kind they are.

    ``positions``: how many places of the batch count; ``count``: the sum of their weights. ``call``:
    the number of the message in its group, given when it is sent. ``native``: in native calls, which
    send another number of messages for second derivatives than torch's operators do.
    """

    layer: str
    channels: int
    dtype: torch.dtype
    gradient: bool
    positions: int = 0
    count: float = 0.0  # type: ignore[assignment]  # hides tuple.count on purpose
    call: int = 0
    backward: bool = False
    native: bool = False

    def __str__(self) -> str:
        kind = str(self.dtype).removeprefix("torch.")
        wanted = "" if self.gradient else ", without gradients"
        way = " backward" if self.backward else ""
        return f"{self.layer}{way}, {self.channels} channels, {kind}{wanted}"


_last: WeakKeyDictionary[Any, Said] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Peers:
    """The processes of a ``torch.distributed`` group; None is the default group, once there is one.

    A copy of a layer keeps its group; a pickle cannot hold one.
    """

    group: Any = None

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        if not (distributed.is_available() and distributed.is_initialized()):
            if self.group is None:
                return True
            raise BadOption(
                "group= takes a group of torch.distributed, which has not begun",
                got=repr(self.group),
                do="call torch.distributed.init_process_group first, or leave group= out",
            )
        return distributed.get_world_size(self.group) == 1

    def exchange(self, said: Said, values: Tensor) -> tuple[list[Said], Tensor]:
        """What every rank said and its values, in the order of ranks: one message, or two if long.

        Raises:  RanksDiffer, on every rank, when the ranks are not at the same layer with the same
                 channels, dtype and wish for gradients, or when one of them failed before
        """
        said = self._counted(said)
        data = values.detach().contiguous().view(-1).view(torch.uint8)
        size = data.numel()  # len() of a tensor takes Python three times as long
        with self._reaching(said):
            block = self._block(data)
            every = self._gathered(_message(said, data[:block]))
            headers = every if every.is_cpu else every[:, :HEADER].cpu()
        told = _agreed(headers, said, self.group)
        parts = every[:, HEADER : HEADER + size]
        if size > block:
            with self._reaching(said):
                parts = torch.cat([parts, self._gathered(data[block:])], 1)
        return told, parts.view(values.dtype).view(len(told), *values.shape)

    @contextmanager
    def telling(self, layer: str, device: torch.device) -> Iterator[None]:
        """Work that comes before an exchange: where it fails, the others learn of it there."""
        try:
            yield
        except Exception:
            failed = self._counted(Said(layer, _FAILED, torch.float32, gradient=False))
            nothing = torch.empty(0, dtype=torch.uint8, device=device)
            # That nobody listens is less than what went wrong here.
            with suppress(RanksDiffer), self._reaching(failed):
                self._gathered(_message(failed, nothing))
            raise

    def total(self, x: Tensor, said: Said) -> Tensor:
        """The sum of all ranks' ``x``, which ``said`` is about; its gradient is the sum of theirs."""
        if not (x.requires_grad and torch.is_grad_enabled()):
            return self._summed(x, said)
        return _Total.apply(x, said, self)  # type: ignore[no-any-return, no-untyped-call]

    def _summed(self, x: Tensor, said: Said) -> Tensor:
        """On the CPU by messages that say what they are; all ranks add up in the same order.

        To read a header would stop an accelerator in the midst of its backward pass: all_reduce there.
        """
        said = said._replace(backward=True, dtype=x.dtype)
        if x.is_cpu:
            return self.exchange(said, x)[1].sum(0)
        total = x.detach().clone(memory_format=torch.contiguous_format)
        with self._reaching(self._counted(said)):
            distributed.all_reduce(total, group=self.group)
        return total

    def _block(self, data: Tensor) -> int:
        """Bytes of values that the first message takes."""
        shared = data.is_cpu and mailbox.of(self.group) is not None
        return mailbox.ROOM - HEADER if shared else BLOCK

    def _gathered(self, message: Tensor) -> Tensor:
        """The messages of all ranks, one a row."""
        box = mailbox.of(self.group) if message.is_cpu else None
        if box is not None and message.numel() <= mailbox.ROOM:
            return box.exchange(message)
        size = distributed.get_world_size(self.group)
        every = message.new_empty(size, message.numel())
        distributed.all_gather(list(every.unbind(0)), message, group=self.group)
        return every

    @contextmanager
    def _reaching(self, said: Said) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise _lost(
                self.group, f"at exchange {said.call}, {said}", said.layer, error
            ) from error

    def _counted(self, said: Said) -> Said:
        """The same with its number in the group."""
        key = distributed.group.WORLD if self.group is None else self.group
        before = _last.get(key)
        _last[key] = said = said._replace(call=1 if before is None else before.call + 1)
        return said

    def __deepcopy__(self, memo: object) -> "Peers":
        return self

    def __reduce__(self) -> tuple[type["Peers"], tuple[()]]:
        if self.group is None:
            return Peers, ()
        raise BadOption(
            "a group of processes cannot be pickled",
            got=repr(self.group),
            do="save the state_dict, and build the layers with group= where they are loaded",
        )


@contextmanager
def explained(group: Any = None) -> Iterator[None]:
    """Name the missing ranks where somebody else's message fails: DistributedDataParallel's, say.

    Raises:  RanksDiffer from torch's RuntimeError, with the last exchange before it

    >>> with explained():  # a training step
    ...     pass
    """
    try:
        yield
    except RuntimeError as error:
        if "/gloo/" not in str(error) and not isinstance(error, distributed.DistError):
            raise
        last = _last.get(distributed.group.WORLD if group is None else group)
        place = "before any exchange" if last is None else f"after exchange {last.call}, {last}"
        raise _lost(group, place, "" if last is None else last.layer, error) from error


class _Total(torch.autograd.Function):
    """The sum over all ranks, differentiable as often as one likes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, said: Said, peers: Peers) -> Tensor:
        ctx.said, ctx.peers = said, peers
        return peers._summed(x, said)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.peers.total(gradient, ctx.said), None, None


def _message(said: Said, data: Tensor) -> Tensor:
    """Header and values, in a first message's size."""
    room = bytearray(HEADER + max(BLOCK, data.numel()))
    _SAME.pack_into(room, 0, *_same(said))
    _OWN.pack_into(room, _SAME.size, said.positions, said.count, said.native)
    message = torch.frombuffer(room, dtype=torch.uint8).to(data.device)
    message[HEADER : HEADER + data.numel()] = data
    return message


def _same(said: Said) -> tuple[Any, ...]:
    way = _BACKWARD if said.backward else _FORWARD if said.gradient else _WITHOUT
    name = said.layer.encode()[-72:]  # the end of a path says more than its beginning
    return said.call, said.channels, _DTYPES.index(said.dtype), way, name


def _unpacked(row: memoryview) -> Said:
    call, channels, dtype, way, name = _SAME.unpack_from(row)
    layer = name.rstrip(b"\0").decode(errors="ignore")
    places, count, _ = _OWN.unpack_from(row, _SAME.size)
    way_back = way == _BACKWARD
    return Said(layer, channels, _DTYPES[dtype], way != _WITHOUT, places, count, call, way_back)


def _agreed(headers: Tensor, mine: Said, group: Any) -> list[Said]:
    """What every rank said, once they are known to agree."""
    same = _SAME.pack(*_same(mine))
    rows = [memoryview(row) for row in headers.numpy()]
    if all(row[: _SAME.size] == same for row in rows):
        owns = (_OWN.unpack_from(row, _SAME.size) for row in rows)
        return [mine._replace(positions=n, count=c, native=bool(quick)) for n, c, quick in owns]
    told = dict(zip(missing.ranks_of(group), map(_unpacked, rows), strict=True))
    failed = [rank for rank, said in told.items() if said.channels == _FAILED]
    if failed:
        layer = told[failed[0]].layer
        raise RanksDiffer(
            f"another rank could not go on at {layer}",
            got=f"at exchange {mine.call} an error on {missing.named(failed)}",
            do="look at its own message",
        )
    raise RanksDiffer(
        "the ranks are not at the same layer with the same kind of values",
        got="; ".join(f"rank {rank}: exchange {said.call}, {said}" for rank, said in told.items()),
        do="run the same model on every rank, each layer as often and in the same order",
    )


def _lost(group: Any, place: str, layer: str, error: RuntimeError) -> RanksDiffer:
    """The error for a message that failed: who is missing, and where the others are."""
    answers = missing.asked(group, place)
    absent = answers.missing
    why = str(error).splitlines()[0].partition(". This is")[0].rpartition("] ")[2]
    who = missing.named(absent)
    return RanksDiffer(
        f"{who} {'are' if len(absent) > 1 else 'is'} missing {place}"
        if absent
        else f"the ranks are not at the same place: this one {place}",
        at=layer,
        got=f"{why or error}; {answers}",
        do=f"look at what {who} said last: dead, stopped, too slow, or at another layer"
        if absent
        else "run the same model on every rank, each layer as often and in the same order",
    )
