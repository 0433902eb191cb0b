"""The folders stand in processing order, imports only point down, and the package stays light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import evenkeel

PACKAGE = Path(evenkeel.__file__).parent
ORDER = (
    "version",
    "errors",
    "files",
    "threads",
    "tables",
    "conventions",
    "views",
    "mailbox",
    "missing",
    "peers",
    "messages",
    "kernels",
    "autograd",
    "functional",
    "nn",
    "explain",
    "surgery",
    "agreement",
    "lightning",
    "data",
    "checkpoint",
    "tf1",
    "port",
    "recipes",
    "train",
    "doctor",
    "bench",
    "cli",
)
HEAVY = (
    "lightning",
    "matplotlib",
    "sklearn",
    "jinja2",
    "safetensors",
    "tensorboard",
    "transformers",
    "torch._dynamo",
)
BANNED_NAMES = ("utils", "helpers", "common", "misc")


def imports_of(source: str) -> Iterator[tuple[str, int]]:
    """Each import of a part of the package: that part, and the line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module == "evenkeel"
            names = [f"evenkeel.{a.name}" for a in node.names] if whole else [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from ((n.split(".")[1], node.lineno) for n in names if n.startswith("evenkeel."))


def upward(place: str, source: str) -> list[str]:
    """Imports in ``source`` that point to something later in the order than ``place``."""
    return [
        f"line {line} imports {target}"
        for target, line in imports_of(source)
        if target in ORDER and ORDER.index(target) > ORDER.index(place)
    ]


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def place_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def test_every_module_has_a_place_in_the_order() -> None:
    places = {place_of(path) for path in modules()} - {"__main__"}
    assert places == set(ORDER)


def test_imports_point_down() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}: {breach}"
        for path in modules()
        if place_of(path) in ORDER
        for breach in upward(place_of(path), path.read_text())
    ]
    assert not found, "\n".join(found)


def test_an_upward_import_is_seen() -> None:
    assert upward("views", "from evenkeel.nn import BatchNorm2d")
    assert upward("views", "import evenkeel.nn.batch_norm")
    assert upward("views", "from evenkeel import nn")
    assert not upward("nn", "from evenkeel.views import view_of")


def test_no_module_is_a_drawer() -> None:
    assert not [p for p in modules() if p.stem in BANNED_NAMES]


def test_importing_the_package_is_light() -> None:
    code = "import evenkeel, sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "torch" in loaded
    assert not set(HEAVY) & set(loaded)
    assert not {"evenkeel.train", "evenkeel.bench", "evenkeel.tf1", "evenkeel.checkpoint"} & set(
        loaded
    )
