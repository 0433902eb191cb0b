"""Builds the native kernels with the package: one shared library without Python or torch in it.

Where there is no C++ compiler the package installs all the same, on torch's operators, and
`evenkeel info` tells the reason that is written here. EVENKEEL_NATIVE=require makes that an error,
EVENKEEL_NATIVE=off leaves the kernels out.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "src/evenkeel/kernels"
LIBRARY, REASON = f"{FOLDER}/libevenkeel.so", f"{FOLDER}/native_missing.txt"


class NativeKernels(BuildHookInterface):  # type: ignore[type-arg]  # its config has no type to name
    """Compiles native/ into the package's own folder, for wheels and editable installs."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """CMake and Ninja from PyPI where the machine has none, unless they would be of no use."""
        if self.target_name != "wheel" or not wanted() or not compiler():
            return []
        return [tool for tool in ("cmake", "ninja") if not shutil.which(tool)]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Leave the library, or the reason why there is none, where the wheel takes it up."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        library, missing = root / LIBRARY, root / REASON
        for old in (library, missing):
            old.unlink(missing_ok=True)
        reason = build(root, library)
        if reason:
            if os.environ.get("EVENKEEL_NATIVE") == "require":
                raise RuntimeError(f"the native kernels were not built: {reason}")
            self.app.display_warning(f"evenkeel without native kernels: {reason}")
            missing.write_text(reason + "\n")
            build_data["artifacts"].append(REASON)
            return
        build_data["artifacts"].append(LIBRARY)
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def build(root: Path, library: Path) -> str:
    """Compile the library; the reason why that was not possible, or ""."""
    if not wanted():
        return "left out by EVENKEEL_NATIVE=off when the package was built"
    if sys.platform != "linux":
        return f"they are built on Linux only, and this is {sys.platform}"
    if not compiler():
        return "no C++ compiler (g++, clang++ or CXX) was found when the package was built"
    folder = root / "build" / "native"
    shutil.rmtree(folder, ignore_errors=True)  # a cache of another compiler or path would mislead
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    configure = ["cmake", "-S", str(root / "native"), "-B", str(folder), "-DEVENKEEL_TESTS=OFF"]
    compile_ = ["cmake", "--build", str(folder), "--parallel"]
    for command in ([*configure, *generator], compile_):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"{command[0]} did not start: {error}"
        if done.returncode:
            last = (done.stdout + done.stderr).strip().splitlines()[-30:]
            return f"{' '.join(command)} failed:\n" + "\n".join(last)
    shutil.copyfile(folder / "libevenkeel.so", library)
    return ""


def compiler() -> str | None:
    """The C++ compiler that CMake will find."""
    named = os.environ.get("CXX", "").split()
    return next(filter(None, map(shutil.which, [*named[:1], "c++", "g++", "clang++"])), None)


def wanted() -> bool:
    """Whether the kernels are to be built at all."""
    return os.environ.get("EVENKEEL_NATIVE") != "off"
