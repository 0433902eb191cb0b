import platform
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
import torch

from evenkeel.kernels import KERNELS, library
from evenkeel.version import __version__

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_versions_kernels_threads_and_cache_are_shown(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENKEEL_CACHE", str(tmp_path / "cache"))
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        done = command("info")
    finally:
        torch.set_num_threads(before)
    assert done.returncode == 0, done.stderr
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    shown = {row[0]: row[1].strip() for row in rows}
    assert shown["evenkeel"] == __version__
    assert shown["python"].startswith(platform.python_version())
    assert shown["torch"] == torch.__version__
    assert shown["lightning"] == metadata.version("lightning")
    assert shown["threads"] == "3"
    assert shown["data"].split(maxsplit=1) == ["cache", str(tmp_path / "cache")]
    for operation, kernels in KERNELS.items():
        line = next(line for line in done.stdout.splitlines() if f"kernels: {operation} " in line)
        assert all(kernel.name in line for kernel in kernels)


def test_a_package_that_is_not_there_is_said_so(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = metadata.version

    def version(package: str) -> str:
        if package == "tensorboard":
            raise metadata.PackageNotFoundError(package)
        return original(package)

    monkeypatch.setattr(metadata, "version", version)
    lines = command("info").stdout.splitlines()
    assert any(line.split() == ["tensorboard", "not", "installed"] for line in lines)


def row(command: Command, name: str) -> str:
    """What stands beside this name."""
    lines = command("info").stdout.splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}  "))
    return line.removeprefix(name).strip()


@pytest.mark.skipif(bool(library.why_missing()), reason=library.why_missing())
def test_the_native_kernels_instruction_set_and_place_are_shown(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    best, *rest = library.isas()
    assert row(command, "native kernels") == f"{best} (of {', '.join([best, *rest])})"
    assert Path(row(command, "native library")) == library.LIBRARY


def test_missing_native_kernels_are_explained(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "cmake failed:\nx.cpp: error: unused [-Werror=unused] [red]"
    monkeypatch.setattr(library, "why_missing", lambda: reason)
    assert row(command, "native kernels") == "missing: cmake failed:"
    assert "x.cpp: error: unused [-Werror=unused] [red]" in command("info").stdout


def test_a_long_path_is_never_cut_short(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENKEEL_CACHE", "/" + "abc/" * 40)
    shown = "".join(command("info").stdout.split())
    assert "/" + "abc/" * 39 + "abc" in shown
