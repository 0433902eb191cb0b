import platform
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
import torch

from evenkeel.kernels import KERNELS
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
