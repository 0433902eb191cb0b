"""The native library: found, or its absence explained; spoken to in its structs; on torch's threads."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from struct import Struct

import pytest
import torch

import evenkeel as ek
from evenkeel.errors import NoKernel
from evenkeel.kernels import library
from evenkeel.kernels.table import Call

MISSING = library.why_missing()
needs_library = pytest.mark.skipif(bool(MISSING), reason=MISSING)
needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
HEADER = Path(__file__).parents[2] / "native" / "include" / "evenkeel.h"

COMMON = [
    *("call.view.outer", "call.view.channels", "call.view.inner", "call.dtype", "call.param_dtype"),
    *("call.activation", "call.num_threads", "call.workspace", "call.workspace_bytes"),
]
TRAIN = "eps x residual weight bias y mean var rstd low running_mean running_var momentum"
NORMALIZE = "eps x residual weight bias mean var y saved_mean rstd"
BACKWARD = "frozen dy x y residual weight bias mean rstd low dx dresidual dweight dbias"
STRUCTS: dict[str, tuple[Struct, list[str]]] = {
    "ek_moments_args": (library.MOMENTS, ["x", "mean", "var"]),
    "ek_train_args": (library.TRAIN, [*TRAIN.split(), "running_unbiased", "finite", "batches"]),
    "ek_normalize_args": (library.NORMALIZE, NORMALIZE.split()),
    "ek_backward_args": (library.BACKWARD, BACKWARD.split()),
}
# Reads one struct from standard input as the library does, prints its size and its fields.
PROGRAM = """
#include <stdio.h>
#include "{header}"
int main(void) {{
    static {kind} a;
    printf("%zu\\n", sizeof a);
    if (fread(&a, 1, sizeof a, stdin) != sizeof a) return 1;
    {prints}
    return 0;
}}
"""


def read_by_c(kind: str, fields: list[str], given: bytes, folder: Path) -> list[float]:
    """The struct's size, then each field's value, as a C compiler sees them."""
    prints = "\n".join(f'printf("%.0f\\n", (double)(a.{f}));' for f in fields)
    for pointer in [f for f in fields if f not in NUMBERS]:
        prints = prints.replace(f"(double)(a.{pointer})", f"(double)(uintptr_t)(a.{pointer})")
    source, binary = folder / f"{kind}.c", folder / kind
    source.write_text(PROGRAM.format(header=HEADER, kind=kind, prints=prints))
    subprocess.run(["cc", "-o", binary, source], check=True)
    done = subprocess.run([binary], input=given, capture_output=True, check=True)
    return [float(line) for line in done.stdout.split()]


NUMBERS = {*COMMON, "eps", "momentum", "running_unbiased", "frozen"} - {"call.workspace"}


@needs_compiler
@pytest.mark.parametrize("kind", STRUCTS)
def test_the_structs_are_the_headers(kind: str, tmp_path: Path) -> None:
    struct, own = STRUCTS[kind]
    fields = [*COMMON, *own]
    numbers = list(range(101, 101 + len(fields)))
    size, *values = read_by_c(kind, fields, struct.pack(*numbers), tmp_path)
    assert size == struct.size
    assert values == numbers


def test_enumerations_are_the_headers() -> None:
    lines = [line.split("/*")[0] for line in HEADER.read_text().splitlines()]
    told = {}
    for entry in " ".join(lines).replace("{", ",").replace("}", ",").split(","):
        name, _, number = entry.strip().partition(" = ")
        if name.startswith("EK_") and number.isdecimal():
            told[name.removeprefix("EK_").lower()] = int(number)
    for activation, mine in library.ACTIVATIONS.items():
        assert told[activation or "none"] == mine
    short = {"f32": "float32", "f64": "float64", "bf16": "bfloat16", "f16": "float16"}
    assert {getattr(torch, short[name]): told[name] for name in short} == library.DTYPES
    assert f"EK_ABI_VERSION {library.ABI_VERSION}\n" in HEADER.read_text()


def test_where_it_is_required_it_is_there() -> None:
    if os.environ.get("EVENKEEL_NATIVE") == "require":
        assert MISSING == ""


# Why it cannot be used. ``found`` remembers its answer for the process; ``__wrapped__`` looks again.

Look = Callable[[Path], str]


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """The reason found for a library at this place; "" for none."""

    def look(place: Path) -> str:
        monkeypatch.setattr(library, "LIBRARY", place)
        monkeypatch.setattr(library, "REASON", tmp_path / "native_missing.txt")
        found = library.found.__wrapped__()
        return found if isinstance(found, str) else ""

    monkeypatch.delenv("EVENKEEL_NATIVE", raising=False)
    return look


@needs_library
def test_a_library_that_is_fine_has_no_reason(look: Look) -> None:
    assert look(library.LIBRARY) == ""


def test_switched_off(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENKEEL_NATIVE", "off")
    assert look(library.LIBRARY) == "switched off by EVENKEEL_NATIVE=off"


def test_no_file_and_no_reason(look: Look, tmp_path: Path) -> None:
    reason = look(tmp_path / "libevenkeel.so")
    assert reason.startswith(f"{tmp_path / 'libevenkeel.so'} does not exist: install")


def test_no_file_and_the_reason_of_the_build(look: Look, tmp_path: Path) -> None:
    (tmp_path / "native_missing.txt").write_text("no C++ compiler was found\n")
    assert look(tmp_path / "libevenkeel.so") == "no C++ compiler was found"


def test_a_file_that_is_no_library(look: Look, tmp_path: Path) -> None:
    other = tmp_path / "libevenkeel.so"
    other.write_text("no library")
    reason = look(other)
    assert reason.startswith(f"{other} does not load: ")
    assert reason.count(str(other)) == 2  # the loader names it too


@needs_compiler
def test_a_library_of_another_version(look: Look, tmp_path: Path) -> None:
    source, other = tmp_path / "other.c", tmp_path / "libevenkeel.so"
    source.write_text("int ek_abi_version(void) { return 99; }")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", other, source], check=True)
    wanted = f"{other} speaks version 99, this package {library.ABI_VERSION}: install it again"
    assert look(other) == wanted


@needs_library
def test_an_instruction_set_that_nobody_has(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENKEEL_ISA", "itanium")  # read when a library is loaded: a fresh copy
    copy = shutil.copy(library.LIBRARY, tmp_path / "copy.so")
    assert look(Path(copy)) == "EVENKEEL_ISA=itanium: unknown, or this processor lacks it"


def test_without_it_calls_are_refused_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "found", lambda: "it is gone")
    assert library.refuses(Call.of(torch.zeros(2, 3))) == "it is gone"
    assert library.isas() == []
    with pytest.raises(NoKernel, match="it is gone"):
        library.native()


@pytest.mark.parametrize("setting", ["EVENKEEL_NATIVE=off", "EVENKEEL_ISA=itanium"])
def test_a_process_without_it_runs_on_torchs_operators(setting: str) -> None:
    code = """
import evenkeel as ek, torch
from evenkeel.kernels import record_choices
with record_choices(lambda choice: print(choice.kernel, "because", choice.refusals["native"])):
    y = ek.BatchNorm2d(3)(torch.randn(4, 3, 5, 5))
y.sum().backward()
"""
    name, _, value = setting.partition("=")
    shown = in_process(code, **{"EVENKEEL_NATIVE": "", name: value})
    assert shown.startswith("torch because ")
    assert setting in shown or MISSING


@needs_library
def test_a_refusal_of_the_library_is_an_error_with_its_text() -> None:
    with pytest.raises(NoKernel, match="status 1: a size below 1, or too large a tensor"):
        library.refused(1)
    with pytest.raises(ValueError, match="no instruction set 'itanium'"):
        library.set_isa("itanium")


# Threads are torch's.


def in_process(code: str, **settings: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_names_no_runtime() -> None:
    if not MISSING:
        assert b"libgomp" not in library.LIBRARY.read_bytes()
        assert b"libomp" not in library.LIBRARY.read_bytes()


@needs_library
def test_alone_it_lacks_a_runtime_and_takes_the_one_that_is_open_to_all() -> None:
    runtime = Path(torch.__file__).parent / "lib" / "libgomp.so.1"
    if not runtime.exists():
        pytest.skip("this torch brings no libgomp.so.1 of its own")
    code = f"""
import ctypes
try:
    ctypes.CDLL({str(library.LIBRARY)!r})
except OSError as error:
    print(error)
ctypes.CDLL({str(runtime)!r}, mode=ctypes.RTLD_GLOBAL)
print(ctypes.CDLL({str(library.LIBRARY)!r}).ek_abi_version())
"""
    first, second = in_process(code).splitlines()
    assert "undefined symbol" in first
    assert second == str(library.ABI_VERSION)


class DlInfo(ctypes.Structure):
    _fields_ = [
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    ]


def holder(address: int) -> tuple[Path, int]:
    """The mapped file that holds this address, and where it begins."""
    info = DlInfo()
    assert ctypes.CDLL(None).dladdr(ctypes.c_void_p(address), ctypes.byref(info))
    return Path(info.file.decode()).resolve(), info.base


@needs_library
@pytest.mark.skipif(not shutil.which("readelf"), reason="there is no readelf")
@pytest.mark.parametrize("symbol", ["GOMP_parallel", "GOMP_barrier", "omp_get_thread_num"])
def test_its_symbols_lead_to_torchs_own_runtime(symbol: str) -> None:
    import sklearn.cluster  # noqa: F401  # which maps a runtime of its own

    ek.BatchNorm2d(8)(torch.randn(16, 8, 64, 64))
    loaded = ctypes.CDLL(str(library.LIBRARY))
    entry = ctypes.cast(loaded.ek_train, ctypes.c_void_p).value
    assert entry is not None
    _, base = holder(entry)
    table = subprocess.run(
        ["readelf", "-rW", library.LIBRARY], capture_output=True, text=True, check=True
    )
    (slot,) = (line.split()[0] for line in table.stdout.splitlines() if f" {symbol} " in line)
    address = ctypes.c_uint64.from_address(base + int(slot, 16)).value
    mine, _ = holder(address)
    (torchs,) = {
        where for where in runtimes() if "torch" in where.parts or "torch.libs" in str(where)
    }
    assert mine == torchs


def runtimes() -> set[Path]:
    """OpenMP runtimes that are mapped into this process."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    files = {Path(line.split()[-1]) for line in lines if line.split()[-1].startswith("/")}
    return {
        f.resolve() for f in files if "gomp" in f.name or "iomp" in f.name or "libomp" in f.name
    }


COUNT = """
import os, torch
from evenkeel.kernels.fused.native import train
def tasks():
    return len(os.listdir("/proc/self/task"))
torch.set_num_threads(3)
x = torch.empty(1 << 14, 64)
start = tasks()
"""
TORCHS = "torch.zeros(1 << 21).add_(1)\ntorchs = tasks()\n"
OURS = "train(x, None, None, 1e-5)\nprint(start, torchs, tasks())\n"
SKLEARNS = """
import numpy, sklearn.cluster
numbers = numpy.random.default_rng(0).normal(size=(3000, 4))
sklearn.cluster.KMeans(3, n_init=1).fit(numbers)
"""


def tasks(code: str) -> list[int]:
    """Threads of a fresh process: at its start, after an operation of torch's, after one of ours."""
    return [int(n) for n in in_process(code, OMP_NUM_THREADS="3").split()]


@needs_library
def test_it_starts_two_threads_where_torch_has_started_none() -> None:
    start, _, ours = tasks(COUNT + "torchs = 0\n" + OURS)
    assert ours == start + 2


@needs_library
@pytest.mark.parametrize("first", ["", SKLEARNS], ids=["torch", "scikit-learn"])
def test_it_starts_no_thread_where_torch_has(first: str) -> None:
    start, torchs, ours = tasks(first + COUNT + TORCHS + OURS)
    assert torchs == start + 2
    assert ours == torchs
