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

from evenkeel.errors import BadOption, RanksDiffer

# Numbers first, then the layer's name: 40 + 8 + 80 bytes.
_HEADER = struct.Struct("<5qd80s")
BLOCK = 4096  # bytes of values in the first message: mean and variance of 512 channels in float32
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_FAILED = -1

_calls: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


class Said(NamedTuple):
    """What a rank says of itself before its values: where it is, and of what kind they are.

    ``positions``: how many places of the batch count; ``count``: the sum of their weights.
    """

    layer: str
    channels: int
    dtype: torch.dtype
    gradient: bool
    positions: int = 0
    count: float = 0.0  # type: ignore[assignment]  # hides tuple.count on purpose

    def __str__(self) -> str:
        kind = str(self.dtype).removeprefix("torch.")
        wanted = "" if self.gradient else ", without gradients"
        return f"{self.layer}, {self.channels} channels, {kind}{wanted}"


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

    def exchange(self, said: Said, values: Tensor) -> tuple[list[Said], list[Tensor]]:
        """What every rank said and its values, in the order of ranks: one message, or two if long.

        Raises:  RanksDiffer, on every rank, when the ranks are not at the same layer with the same
                 channels, dtype and wish for gradients, or when one of them failed before
        """
        data = values.detach().contiguous().view(-1).view(torch.uint8)
        call = self._next_call()
        every = self._gathered(_message(said, call, data[:BLOCK]), said, call)
        told = _agreed(every[:, : _HEADER.size])
        parts = every[:, _HEADER.size :][:, : len(data)]
        if len(data) > BLOCK:
            parts = torch.cat([parts, self._gathered(data[BLOCK:], said, call)], 1)
        return told, [part.clone().view(values.dtype).view(values.shape) for part in parts]

    @contextmanager
    def telling(self, layer: str, device: torch.device) -> Iterator[None]:
        """Work that comes before an exchange: where it fails, the others learn of it there."""
        try:
            yield
        except Exception:
            failed, call = Said(layer, _FAILED, torch.float32, gradient=False), self._next_call()
            nothing = torch.empty(0, dtype=torch.uint8, device=device)
            with suppress(RanksDiffer):  # that nobody listens is less than what went wrong here
                self._gathered(_message(failed, call, nothing), failed, call)
            raise

    def total(self, x: Tensor) -> Tensor:
        """The sum of all ranks' ``x``; its gradient is the sum of all ranks' gradients."""
        return _Total.apply(x, self.group)  # type: ignore[no-any-return, no-untyped-call]

    def _gathered(self, message: Tensor, said: Said, call: int) -> Tensor:
        """The messages of all ranks, one a row."""
        size = distributed.get_world_size(self.group)
        every = message.new_empty(size, len(message))
        try:
            distributed.all_gather(list(every.unbind(0)), message, group=self.group)
        except RuntimeError as error:
            raise RanksDiffer(
                f"the other ranks could not be reached at exchange {call} of their group",
                got=f"{said}: {str(error).splitlines()[0]}",
                do="look at the other ranks' own messages: one of them stopped, or skipped a layer",
            ) from error
        return every

    def _next_call(self) -> int:
        key = distributed.group.WORLD if self.group is None else self.group
        _calls[key] = _calls.get(key, 0) + 1
        return _calls[key]

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


class _Total(torch.autograd.Function):
    """The sum over all ranks, differentiable as often as one likes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = x.detach().clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Total.apply(gradient, ctx.group), None  # type: ignore[no-untyped-call]


def _message(said: Said, call: int, data: Tensor) -> Tensor:
    """Header and values, in a first message's size."""
    message = torch.zeros(_HEADER.size + BLOCK, dtype=torch.uint8, device=data.device)
    name = said.layer.encode()[-80:]  # the end of a path says more than its beginning
    dtype = _DTYPES.index(said.dtype)
    fields = call, said.channels, dtype, said.gradient, said.positions, said.count, name
    header = torch.frombuffer(bytearray(_HEADER.pack(*fields)), dtype=torch.uint8)
    message[: _HEADER.size] = header.to(data.device)
    message[_HEADER.size :][: len(data)] = data
    return message


def _unpacked(row: bytes) -> tuple[Said, int]:
    call, channels, dtype, gradient, positions, count, name = _HEADER.unpack(row)
    layer = name.rstrip(b"\0").decode(errors="ignore")
    return Said(layer, channels, _DTYPES[dtype], bool(gradient), positions, count), call


def _agreed(headers: Tensor) -> list[Said]:
    """What every rank said, once they are known to agree."""
    rows = [_unpacked(row.numpy().tobytes()) for row in headers.cpu().contiguous()]
    told = [said for said, _ in rows]
    failed = [rank for rank, said in enumerate(told) if said.channels == _FAILED]
    if failed:
        raise RanksDiffer(
            f"another rank could not go on at {told[failed[0]].layer}",
            got=f"an error on rank {', '.join(map(str, failed))} of the group",
            do="look at its own message",
        )
    if len({(str(said), call) for said, call in rows}) > 1:
        raise RanksDiffer(
            "the ranks are not at the same layer with the same kind of values",
            got="; ".join(f"rank {k}: call {call}, {s}" for k, (s, call) in enumerate(rows)),
            do="run the same model on every rank, each layer as often and in the same order",
        )
    return told
