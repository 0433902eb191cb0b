"""The command as a person calls it: in this process where that is the same, else in its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import evenkeel
from evenkeel.cli import app

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Call the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: str) -> Done:
        result = CliRunner().invoke(app, list(arguments))
        return Done(list(arguments), result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Start the command in a process of its own, in an empty folder."""

    def start(*arguments: str, before: str = "", **settings: str) -> "subprocess.Popen[str]":
        code = f"{before}\nfrom evenkeel.cli import main\nmain()"
        source = str(Path(evenkeel.__file__).parents[1])
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": source, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
