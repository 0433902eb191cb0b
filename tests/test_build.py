"""The package builds with native kernels where it can, without them where it cannot, and says why."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import types
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY, REASON = (f"evenkeel/kernels/{name}" for name in ("libevenkeel.so", "native_missing.txt"))

needs_compiler = pytest.mark.skipif(
    not (shutil.which("c++") and shutil.which("cmake")), reason="there is no compiler or no CMake"
)
PROJECT = """
cmake_minimum_required(VERSION 3.18)
project(small LANGUAGES CXX)
add_library(evenkeel SHARED small.cpp)
"""


class App:
    """What hatchling hands to a hook to speak through."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def display_warning(self, text: str) -> None:
        self.warnings.append(text)


def hook_of(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # a module that is made here
    """hatch_build.py of a copy; hatchling's base class is the one thing it needs, and stood in for."""
    base = types.ModuleType("hatchling.builders.hooks.plugin.interface")
    base.BuildHookInterface = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, base.__name__, base)
    spec = importlib.util.spec_from_file_location("hatch_build_copy", root / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    hook = module.NativeKernels()
    hook.root, hook.target_name, hook.app = str(root), "wheel", App()
    return hook


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The build hook in a copy whose native/ is one small file."""
    monkeypatch.setenv("EVENKEEL_NATIVE", "")
    shutil.copy(ROOT / "hatch_build.py", tmp_path)
    (tmp_path / "src/evenkeel/kernels").mkdir(parents=True)
    (tmp_path / "native").mkdir()
    (tmp_path / "native/CMakeLists.txt").write_text(PROJECT)
    (tmp_path / "native/small.cpp").write_text('extern "C" int answer() { return 42; }')
    return hook_of(tmp_path, monkeypatch)


def built(hook: Any) -> dict[str, Any]:
    """What the hook tells the builder."""
    data: dict[str, Any] = {"artifacts": [], "pure_python": True}
    hook.initialize("standard", data)
    return data


def places(hook: Any) -> tuple[Path, Path]:
    """Where the library and the reason would be."""
    return Path(hook.root, "src", LIBRARY), Path(hook.root, "src", REASON)


def without_compiler(folder: Path, *tools: str) -> dict[str, str]:
    """An environment whose PATH holds these tools and nothing else."""
    folder.mkdir()
    for tool in tools:
        found = shutil.which(tool)
        if found:
            (folder / tool).symlink_to(found)
    return {"PATH": str(folder), "CXX": ""}


@needs_compiler
def test_a_library_is_built_and_tagged_for_the_platform(hook: Any) -> None:
    library, reason = places(hook)
    reason.write_text("of an older build")
    data = built(hook)
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert data == {
        "artifacts": [f"src/{LIBRARY}"],
        "pure_python": False,
        "tag": f"py3-none-{platform}",
    }
    assert b"answer" in library.read_bytes()
    assert not reason.exists()
    assert hook.app.warnings == []


def check_left_out(hook: Any, said: str) -> str:
    """Without a library: the reason is written, packed and said; where it is required, an error."""
    library, reason = places(hook)
    library.write_bytes(b"of an older build")
    assert built(hook) == {"artifacts": [f"src/{REASON}"], "pure_python": True}
    text = reason.read_text().strip()
    assert said in text
    assert not library.exists()
    assert hook.app.warnings == [f"evenkeel without native kernels: {text}"]
    return text


def test_without_a_compiler_the_reason_is_packed(
    hook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in without_compiler(tmp_path / "bin", "cmake").items():
        monkeypatch.setenv(name, value)
    text = check_left_out(hook, "no C++ compiler")
    assert hook.dependencies() == []
    monkeypatch.setenv("EVENKEEL_NATIVE", "require")
    with pytest.raises(RuntimeError) as raised:
        built(hook)
    assert str(raised.value) == f"the native kernels were not built: {text}"


def test_without_cmake_it_is_asked_for_and_missed(
    hook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in without_compiler(tmp_path / "bin", "true").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CXX", "true")  # a compiler, to whoever looks for its name
    assert hook.dependencies() == ["cmake", "ninja"]
    check_left_out(hook, "cmake did not start: ")


@needs_compiler
def test_a_compilers_error_is_the_reason(hook: Any) -> None:
    Path(hook.root, "native/small.cpp").write_text("#error this machine is too small\n")
    text = check_left_out(hook, "error: #error this machine is too small")
    first, *last = text.splitlines()
    assert first.startswith("cmake --build")
    assert 1 < len(last) <= 30


def test_switched_off_it_is_left_out(hook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENKEEL_NATIVE", "off")
    check_left_out(hook, "EVENKEEL_NATIVE=off")
    assert hook.dependencies() == []


def test_another_system_is_told_so(hook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    check_left_out(hook, "on Linux only, and this is win32")


def test_a_source_distribution_builds_nothing(hook: Any) -> None:
    hook.target_name = "sdist"
    assert built(hook) == {"artifacts": [], "pure_python": True}
    assert hook.dependencies() == []
    assert not any(place.exists() for place in places(hook))


# The real thing: hatchling from PyPI, the whole of native/.


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a source distribution holds, and hatchling beside it."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("src", "native"):
        ignored = shutil.ignore_patterns("__pycache__", "libevenkeel.so", "native_missing.txt")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("hatch_build.py", "pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder / "tools")]
    subprocess.run([*pip, "hatchling"], check=True)
    return folder


def wheel(copy: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Build a wheel of the copy into its folder dist."""
    shutil.rmtree(copy / "dist", ignore_errors=True)
    return subprocess.run(
        [sys.executable, "-c", "from hatchling.build import build_wheel; build_wheel('dist')"],
        cwd=copy,
        env={**os.environ, "EVENKEEL_NATIVE": "", "PYTHONPATH": str(copy / "tools"), **settings},
        capture_output=True,
        text=True,
        check=False,
    )


USE = """
import sys, torch, evenkeel as ek
from evenkeel.kernels import library
assert ek.__file__.startswith(sys.argv[1]), ek.__file__
layer = ek.BatchNorm2d(3, activation="relu")
y = layer(torch.randn(4, 3, 5, 5), residual=torch.randn(4, 3, 5, 5))
y.sum().backward()
print(library.why_missing() or "native")
from evenkeel.cli import main
sys.argv[1:] = ["info"]
main()
"""


def used(packed: Path, folder: Path) -> list[str]:
    """Lines that a program prints with the unpacked wheel in front of everything else."""
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE, str(folder)],
        cwd=folder,
        env={**os.environ, "EVENKEEL_NATIVE": "", "PYTHONPATH": str(folder), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_a_wheel_without_kernels_works_and_tells_why(copy: Path, tmp_path: Path) -> None:
    empty = without_compiler(tmp_path / "bin", "cmake", "ninja", "git")
    done = wheel(copy, **empty)
    assert done.returncode == 0, done.stderr
    assert "evenkeel without native kernels: no C++ compiler" in done.stdout + done.stderr
    (packed,) = (copy / "dist").iterdir()
    assert packed.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(packed).namelist()
    assert REASON in names
    assert LIBRARY not in names
    lines = used(packed, tmp_path / "unpacked")
    assert lines[0].startswith("no C++ compiler")
    assert f"native kernels missing: {lines[0]}" in lines
    done = wheel(copy, EVENKEEL_NATIVE="require", **empty)
    assert done.returncode != 0
    assert f"the native kernels were not built: {lines[0]}" in done.stderr


@pytest.mark.slow
@needs_compiler
def test_a_wheel_with_kernels_serves_every_python(copy: Path, tmp_path: Path) -> None:
    done = wheel(copy)
    assert done.returncode == 0, done.stderr
    (packed,) = (copy / "dist").iterdir()
    assert "-py3-none-linux_" in packed.name
    names = zipfile.ZipFile(packed).namelist()
    assert LIBRARY in names
    assert REASON not in names
    lines = used(packed, tmp_path / "unpacked")
    assert lines[0] == "native"
    assert f"native library {tmp_path / 'unpacked' / LIBRARY}" in lines
