"""Plain values and tensors told to all processes of a group, as JSON: nothing is ever unpickled."""

import json
from base64 import b64decode, b64encode
from typing import Any

import torch
from torch import Tensor, distributed

from evenkeel.errors import RanksDiffer
from evenkeel.peers import Peers

_TENSOR = "a tensor of"


def told(mine: object, group: Any = None) -> list[Any]:
    """What every process of ``group`` says, in the order of ranks; one without others hears itself.

    ``mine``: None, booleans, numbers, strings, tensors, and lists and dicts (with string keys) of
    these; tuples arrive as lists, tensors on the CPU.
    Raises:  RanksDiffer when another process cannot be reached

    >>> told({"count": 3, "mean": torch.ones(2)})
    [{'count': 3, 'mean': tensor([1., 1.])}]
    """
    text = json.dumps(mine, default=_written).encode()
    return [json.loads(one, object_hook=_read) for one in _every(text, group)]


def _every(text: bytes, group: Any) -> list[bytes]:
    if Peers(group).alone:
        return [text]
    device = _device(group)
    lengths = [int(n) for n in _gathered(torch.tensor([len(text)], device=device), group)]
    padded = torch.zeros(max(lengths), dtype=torch.uint8, device=device)
    padded[: len(text)] = torch.frombuffer(bytearray(text), dtype=torch.uint8).to(device)
    rows = zip(_gathered(padded, group), lengths, strict=True)
    return [row[:n].cpu().numpy().tobytes() for row, n in rows]


def _gathered(mine: Tensor, group: Any) -> list[Tensor]:
    every = [torch.empty_like(mine) for _ in range(distributed.get_world_size(group))]
    try:
        distributed.all_gather(every, mine, group=group)
    except RuntimeError as error:
        raise RanksDiffer(
            "the other ranks could not be reached",
            got=str(error).splitlines()[0],
            do="look at the other ranks' own messages: one of them stopped",
        ) from error
    return every


def _device(group: Any) -> torch.device:
    """Where the backend of the group takes its messages."""
    on_cpu = distributed.get_backend(group) in ("gloo", "mpi", "ucc")
    here = None if on_cpu else torch.accelerator.current_accelerator()
    return here or torch.device("cpu")


def _written(tensor: Any) -> dict[str, Any]:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"a {type(tensor).__name__} is no plain value")
    data = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
    kind = str(tensor.dtype).removeprefix("torch.")
    return {_TENSOR: [kind, *tensor.shape], "bytes": b64encode(data.numpy().tobytes()).decode()}


def _read(found: dict[str, Any]) -> Any:
    if _TENSOR not in found:
        return found
    kind, *shape = found[_TENSOR]
    data = bytearray(b64decode(found["bytes"]))
    dtype = getattr(torch, kind)
    flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return flat.view(shape)
