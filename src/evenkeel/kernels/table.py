"""The dispatch table: rows in order of preference, each may refuse with a reason, none is silent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from evenkeel.errors import NoKernel
from evenkeel.tables import Table
from evenkeel.views import View, view_of


class Call(NamedTuple):
    """All that a kernel may look at before it says whether it can run.

    ``planar``: x is contiguous in the order of its axes [N, C, *], with several values in ``*``.
    """

    dtype: torch.dtype
    device: str
    view: View | None
    count: int  # type: ignore[assignment]  # hides tuple.count on purpose
    planar: bool = False

    @classmethod
    def of(cls, x: Tensor) -> "Call":
        """The call for a tensor [N, C, *]."""
        planar = x.is_contiguous() and x.numel() > x.shape[0] * x.shape[1]
        count = x.numel() // max(x.shape[1], 1)
        return cls(x.dtype, x.device.type, view_of(x, 1), count, planar)


def accepts_all(_: Call) -> str:
    """The refusal of a kernel that can run every call: none."""
    return ""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One way to run an operation.

    ``run`` has the operation's signature. ``refuses`` gives the reason why it cannot run a call, ""
    when it can. ``differentiable``: torch can differentiate through ``run``; otherwise autograd.py
    does. ``on_request``: never chosen unless asked for by name.
    """

    name: str
    run: Callable[..., Any]
    refuses: Callable[[Call], str] = accepts_all
    differentiable: bool = True
    on_request: bool = False


_forced: ContextVar[str] = ContextVar("forced kernel", default="")


@contextmanager
def use_kernel(name: str) -> Iterator[None]:
    """Run every operation inside on the kernel of this name; a refusal is an error, not a fallback.

    Operations that have no kernel of that name run as usual. Applies to this thread (and to what
    runs in its context) only.

    Raises:  UnknownName when no operation has a kernel of that name; NoKernel at a call it refuses

    >>> import evenkeel as ek
    >>> with use_kernel("reference"):
    ...     ek.functional.moments(torch.tensor([1.0, 3.0]), 0).var
    tensor(1.)
    """
    from evenkeel.kernels import KERNELS  # the rows import this module

    names = Table[None]("kernel")
    names.add(*sorted({kernel.name for rows in KERNELS.values() for kernel in rows}))(None)
    names[name]  # raises UnknownName with its neighbours
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)


def choose(rows: tuple[Kernel, ...], call: Call) -> Kernel:
    """The first row that can run this call.

    Raises:  NoKernel when the row asked for by name refuses
    """
    only = _forced.get()
    if not any(kernel.name == only for kernel in rows):
        only = ""
    for kernel in rows:
        if not _refusal(kernel, call, only):
            return kernel
    refusals = refusals_of(rows, call, only)
    asked = {only: refusals[only]} if only else refusals
    reasons = "; ".join(f"{name}: {reason}" for name, reason in asked.items())
    raise NoKernel(
        f"no kernel can run this call. {reasons}",
        got=f"{call}",
        do=f"leave use_kernel({only!r}) out, and another one runs it" if only else "convert x",
    )


def refusals_of(rows: tuple[Kernel, ...], call: Call, only: str = "") -> dict[str, str]:
    """Why each row would not run this call; "" for those that can."""
    return {kernel.name: _refusal(kernel, call, only) for kernel in rows}


def _refusal(kernel: Kernel, call: Call, only: str) -> str:
    if only and kernel.name != only:
        return f"{only} was asked for"
    if kernel.on_request and not only:
        return "runs only when asked for by name"
    return kernel.refuses(call)
