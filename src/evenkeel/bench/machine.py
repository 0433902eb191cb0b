"""Where a measurement was made, and what of the library ran."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import evenkeel


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine at the start of a suite.

    ``load`` is its load average of the last minute: above ``cores``, others were at work. ``commit``
    ends in ``+`` when files differ from it; None outside a checkout.
    """

    cpu: str
    capability: str
    cores: int
    threads: int
    load: float
    system: str
    python: str
    torch: str
    evenkeel: str
    commit: str | None


def this_machine() -> Machine:
    """What is known about the machine now."""
    return Machine(
        cpu=cpu_name(),
        capability=torch.backends.cpu.get_cpu_capability(),
        cores=len(os.sched_getaffinity(0)),
        threads=torch.get_num_threads(),
        load=round(os.getloadavg()[0], 2),
        system=f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}",
        python=platform.python_version(),
        torch=torch.__version__,
        evenkeel=evenkeel.__version__,
        commit=commit(),
    )


def cpu_name() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit() -> str | None:
    """The commit of the checkout that this library is imported from, if it is one."""
    root = Path(evenkeel.__file__).parents[2]
    if not (root / ".git").exists() or not shutil.which("git"):
        return None
    name = _git(root, "rev-parse", "--short=12", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{name}{'+' if changed else ''}" if name else None


def kernel_of(layer: nn.Module, *inputs: Tensor) -> str:
    """The kernels that the layer runs on with these inputs."""
    return ", ".join(evenkeel.explain(layer, *inputs).ran)


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""
