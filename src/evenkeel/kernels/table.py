"""The dispatch table: rows in order of preference, each may refuse with a reason, none is silent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from evenkeel.errors import NoKernel
from evenkeel.tables import Table
from evenkeel.views import Rows, View, rows_of, view_of


class Call(NamedTuple):
    """All that a kernel may look at before it says whether it can run.

    ``axes``: the channels'. ``rows``: how x becomes [N, C, *]. ``planar``: it then is contiguous, with
    several values in ``*``. ``mode``: "" for ordinary tensors; "transform" inside torch.func (vmap,
    jvp, grad, …) or forward differentiation; "trace" where torch records operators, or x is a tensor
    subclass.
    """

    dtype: torch.dtype
    device: str
    view: View | None
    count: int  # type: ignore[assignment]  # hides tuple.count on purpose
    planar: bool = False
    mode: str = ""
    axes: tuple[int, ...] = (1,)
    rows: Rows | None = None

    @property
    def rows_of_x(self) -> Rows:
        """``rows``, which ``of`` has always filled."""
        if self.rows is None:
            raise NoKernel("this call was described by hand", got=repr(self), do="use Call.of(x)")
        return self.rows

    @classmethod
    def of(cls, x: Tensor, axes: tuple[int, ...] = (1,)) -> "Call":
        """The call for a tensor with channels on these axes."""
        mode = "trace" if torch.compiler.is_compiling() else mode_of(x)
        look = _look if mode == "trace" else _look_once  # a trace's sizes may be symbols
        return look(x.shape, x.stride(), x.dtype, x.device.type, axes, mode)


def _look(
    shape: tuple[int, ...],
    stride: tuple[int, ...],
    dtype: torch.dtype,
    device: str,
    axes: tuple[int, ...],
    mode: str,
) -> Call:
    like = torch.empty_strided(shape, stride, dtype=dtype, device="meta")
    rows = rows_of(like, axes, device)
    seen = rows.of(like)
    size, channels = like.numel(), seen.shape[1] if seen.ndim > 1 else 1
    planar = seen.is_contiguous() and size > seen.shape[0] * channels
    count = size // max(channels, 1)
    return Call(dtype, device, view_of(like, axes), count, planar, mode, axes, rows)


_look_once = lru_cache(maxsize=4096)(_look)


# torch's own switches; the private ones are those its autograd.Function and checkpoint ask.
transforms_active = torch._C._are_functorch_transforms_active
dispatch_modes = torch._C._len_torch_dispatch_stack
tracing_state = torch._C._get_tracing_state
ORDINARY = Tensor, torch.nn.Parameter


def mode_of(x: Tensor) -> str:
    """What stands between this call and memory; "" for nothing."""
    if transforms_active() or forward_ad._current_level >= 0:
        return "transform"
    if type(x) not in ORDINARY or dispatch_modes() or tracing_state():
        return "trace"
    return ""


def accepts_all(_: Call) -> str:
    """The refusal of a kernel that can run every call: none."""
    return ""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One way to run an operation.

    ``run`` has the operation's signature. ``refuses`` gives the reason why it cannot run a call, ""
    when it can. ``differentiable``: torch can differentiate through ``run``; otherwise autograd.py
    does. ``whole``: this kernel also does what surrounds the operation (residual, activation, running
    statistics) in the same call. ``on_request``: never chosen unless asked for by name.
    """

    name: str
    run: Callable[..., Any]
    refuses: Callable[[Call], str] = accepts_all
    differentiable: bool = True
    whole: bool = False
    on_request: bool = False


class Choice(NamedTuple):
    """One decision: the kernel that ran, the call, and why each other one did not run."""

    operation: str
    kernel: str
    call: Call
    refusals: dict[str, str]


class Wishes(NamedTuple):
    """What the surrounding code asked of every choice: a kernel's name; to be told of the choice."""

    only: str = ""
    tell: Callable[[Choice], None] | None = None


_NONE = Wishes()
_wishes: ContextVar[Wishes] = ContextVar("wishes", default=_NONE)
# How many wishes there are in all threads: without any, nothing asks the ContextVar, over which
# torch.compile stumbles.
_wished = 0


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
    with _wishing(only=name):
        yield


@contextmanager
def record_choices(tell: Callable[[Choice], None]) -> Iterator[None]:
    """Tell of every choice made inside, in this thread."""
    with _wishing(tell=tell):
        yield


@contextmanager
def _wishing(**wishes: Any) -> Iterator[None]:  # the fields of Wishes
    global _wished
    token = _wishes.set(_wishes.get()._replace(**wishes))
    _wished += 1
    try:
        yield
    finally:
        _wished -= 1
        _wishes.reset(token)


def unwatched() -> bool:
    """Whether nobody wishes for a kernel or to be told of it: a choice once made stays right."""
    return not _wished


def choose(rows: tuple[Kernel, ...], call: Call) -> Kernel:
    """The first row that can run this call.

    Raises:  NoKernel when the row asked for by name refuses
    """
    if not _wished:
        for kernel in rows:
            if not kernel.on_request and not kernel.refuses(call):
                return kernel
        raise _no_kernel(rows, call, "")
    wishes = _wishes.get()
    only = wishes.only if any(kernel.name == wishes.only for kernel in rows) else ""
    for kernel in rows:
        if not _refusal(kernel, call, only):
            if wishes.tell is not None:
                wishes.tell(_told(rows, call, only, kernel))
            return kernel
    raise _no_kernel(rows, call, only)


def _told(rows: tuple[Kernel, ...], call: Call, only: str, kernel: Kernel) -> Choice:
    from evenkeel.kernels import KERNELS  # the rows import this module

    operation = next((name for name, own in KERNELS.items() if own is rows), "")
    reasons = refusals_of(rows, call, only)
    reasons = {name: why or f"{kernel.name} comes before it" for name, why in reasons.items()}
    del reasons[kernel.name]
    return Choice(operation, kernel.name, call, reasons)


def _no_kernel(rows: tuple[Kernel, ...], call: Call, only: str) -> NoKernel:
    refusals = refusals_of(rows, call, only)
    asked = {only: refusals[only]} if only else refusals
    reasons = "; ".join(f"{name}: {reason}" for name, reason in asked.items())
    return NoKernel(
        f"no kernel can run this call. {reasons}",
        got=f"{call._replace(rows=None)}",
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
