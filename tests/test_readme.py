"""Code in README.md and in docs/ runs, and the commands it shows exist."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from evenkeel.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    shown = [
        line for page in PAGES for block in blocks(page, "console") for line in block.splitlines()
    ]
    calls = [
        line.removeprefix("$ ").split("#")[0].strip() for line in shown if line.startswith("$ ")
    ]
    return [call for call in calls if call.startswith("evenkeel ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_python_code_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), names)


@pytest.mark.parametrize("call", commands())
def test_commands_exist_with_the_options_shown(call: str) -> None:
    _, name, *rest = shlex.split(call)
    known = get_command(app).commands  # type: ignore[attr-defined]
    assert name in known, f"no command {name}"
    options = {flag for p in known[name].params for flag in (*p.opts, *p.secondary_opts)} | {
        "--help"
    }
    assert not [word for word in rest if word.startswith("--") and word not in options]


def test_the_readme_has_code_and_commands_to_check() -> None:
    assert blocks(ROOT / "README.md", "python")
    assert commands()
