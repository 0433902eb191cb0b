"""The native library: found, loaded and called. Its manual is native/include/evenkeel.h.

Arguments go over as the bytes of the header's structs: one ``Struct.pack`` a call costs a third of a
microsecond, where setting the fields of a ctypes structure costs several.
"""

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from struct import Struct
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

from evenkeel.errors import BadShape, NoKernel
from evenkeel.kernels.table import Call
from evenkeel.views import View, statistics_dtype

ABI_VERSION = 3
FOLDER = Path(__file__).parent
LIBRARY, REASON = FOLDER / "libevenkeel.so", FOLDER / "native_missing.txt"

DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
ACTIVATIONS = {
    None: 0,
    "relu": 1,
    "leaky_relu": 2,
    "relu6": 3,
    "elu": 4,
    "silu": 5,
    "hardswish": 6,
    "sigmoid": 7,
    "tanh": 8,
    "gelu": 9,
}

# The header's structs: ek_call (view, dtype, param_dtype, activation, num_threads, workspace and its
# bytes), then the operation's own.
CALL = "qqq iiii Pq "
MOMENTS = Struct(CALL + "P PP")
TRAIN = Struct(CALL + "d PPPP PPPPP PP d i4x PP")
NORMALIZE = Struct(CALL + "d PPPP PP PPP")
BACKWARD = Struct(CALL + "i4x PPPP PP PPP PPPP")

FRESH = 4 << 20  # bytes from which a new buffer is worth large pages


class Native(NamedTuple):
    """The loaded library; its operations take the bytes of a struct and return a status."""

    moments: Callable[[bytes], int]
    train: Callable[[bytes], int]
    normalize: Callable[[bytes], int]
    backward: Callable[[bytes], int]
    workspace_bytes: Callable[[View, int], int]
    fresh: Callable[[int, int], None]
    isa: str


@cache
def found() -> Native | str:
    """The library, or the reason why it cannot be used; looked for once a process."""
    if os.environ.get("EVENKEEL_NATIVE") == "off":
        return "switched off by EVENKEEL_NATIVE=off"
    if not LIBRARY.exists():
        return REASON.read_text().strip() if REASON.exists() else _never_built()
    try:
        library = _load(str(LIBRARY))
    except OSError as error:
        return f"{LIBRARY} does not load: {error}"
    if library.ek_abi_version() != ABI_VERSION:
        version = library.ek_abi_version()
        return f"{LIBRARY} speaks version {version}, this package {ABI_VERSION}: install it again"
    library.ek_isa.restype = ctypes.c_char_p
    isa = library.ek_isa()
    if isa is None:
        return f"EVENKEEL_ISA={os.environ.get('EVENKEEL_ISA')}: unknown, or this processor lacks it"
    return _typed(library, isa.decode())


def native() -> Native:
    """The library.

    Raises:  NoKernel when it is missing
    """
    library = found()
    if isinstance(library, str):
        raise NoKernel("there are no native kernels here", got=library, do="see evenkeel info")
    return library


def why_missing() -> str:
    """Why the native kernels cannot run here, "" when they can."""
    library = found()
    return library if isinstance(library, str) else ""


def refuses(call: Call) -> str:
    """Why the native kernels must not run this call."""
    if call.device != "cpu":
        return f"x is on {call.device}, not in the processor's memory"
    if call.mode == "transform":
        return "torch.func or forward differentiation is at work, which must see torch's operators"
    if call.mode:
        return "torch is recording operators, or x is a subclass of Tensor"
    if call.count == 0:
        return "x is empty"
    if call.view is None:
        return "x has gaps in memory, or its channels lie apart"
    return why_missing()


def set_isa(name: str | None) -> None:
    """Choose the instruction set of all later calls; None takes the best. For tests.

    Raises:  ValueError when the library does not have it or the processor lacks it
    """
    if ctypes.CDLL(str(LIBRARY)).ek_set_isa(name.encode() if name else None):
        raise ValueError(f"no instruction set {name!r} here")


def isas() -> list[str]:
    """The instruction sets that this machine can run, best first; none without the library."""
    if why_missing():
        return []
    library = ctypes.CDLL(str(LIBRARY))
    names = ("avx512bf16", "avx512", "avx2", "neon", "baseline")
    return [name for name in names if library.ek_has_isa(name.encode())]


def status_text(status: int) -> str:
    """What a status means."""
    library = ctypes.CDLL(str(LIBRARY))
    library.ek_status_text.restype = ctypes.c_char_p
    return str(library.ek_status_text(status).decode())


# How many threads a call may use: torch's number. A forked child has a copy of the thread pool without
# its threads; there it becomes 1.
threads: Callable[[], int] = torch.get_num_threads


def workspace_bytes(view: View, dtype: torch.dtype) -> int:
    """Bytes of workspace that any operation needs."""
    return native().workspace_bytes(view, DTYPES[dtype])


def empty_like(x: Tensor) -> Tensor:
    """A new tensor in the layout of ``x``, on large pages where it is large.

    Fresh memory costs a page fault for every 4 KiB, more than the work on it: from 25 MB on half of a
    training step's time (measured; Linux grants 2 MiB pages on request).
    """
    y = torch.empty_like(x)
    if y.nbytes >= FRESH:
        native().fresh(y.data_ptr(), y.nbytes)
    return y


def alike(other: Tensor, x: Tensor) -> Tensor:
    """``other`` in the layout of ``x``; a copy only where it lies otherwise."""
    return other if other.stride() == x.stride() else empty_like(x).copy_(other)


def vector(v: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """One number for each channel, side by side, in the dtype in which parameters go over.

    Raises:  BadShape when there are more or fewer
    """
    if v.numel() != channels:
        raise BadShape(
            "a vector must hold one number for each channel",
            got=f"{v.numel()} numbers for {channels} channels",
            do="check which axis holds the channels",
        )
    return v.reshape(channels).to(dtype).contiguous()


def refused(status: int) -> NoReturn:
    """Raise NoKernel: the library did not carry out a call."""
    raise NoKernel(
        "the native library refused a call that it should have taken",
        got=f"status {status}: {status_text(status)}",
        do="report it, and use use_kernel('torch') until then",
    )


def parameter_dtype(x: Tensor, *vectors: Tensor | None) -> torch.dtype:
    """The dtype in which parameters go over: their own where they agree, else the statistics'."""
    wide, own = statistics_dtype(x), None
    for v in vectors:
        if v is not None and v.dtype is not own:
            if own is not None or v.dtype not in (wide, x.dtype):
                return wide
            own = v.dtype
    return own or wide


class _CView(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("outer", "channels", "inner")]


def _typed(library: ctypes.CDLL, isa: str) -> Native:
    library.ek_workspace_bytes.argtypes = [_CView, ctypes.c_int32]
    library.ek_workspace_bytes.restype = ctypes.c_int64
    library.ek_fresh.argtypes = [ctypes.c_void_p, ctypes.c_int64]
    library.ek_fresh.restype = None
    return Native(
        library.ek_moments,
        library.ek_train,
        library.ek_normalize,
        library.ek_backward,
        lambda view, dtype: int(library.ek_workspace_bytes(_CView(*view), dtype)),
        library.ek_fresh,
        isa,
    )


def _load(path: str) -> ctypes.CDLL:
    """The library, on the OpenMP runtime that torch loaded with its symbols open to all."""
    try:
        return ctypes.CDLL(path)
    except OSError:  # a torch that kept its runtime to itself: the system's
        ctypes.CDLL("libgomp.so.1", mode=ctypes.RTLD_GLOBAL)
        return ctypes.CDLL(path)


def _never_built() -> str:
    return f"{LIBRARY} does not exist: install the package where there is a C++ compiler"


def _one() -> int:
    return 1


def _in_child() -> None:
    global threads
    threads = _one


os.register_at_fork(after_in_child=_in_child)
