"""Programs as text, run in this process; what they print and how they end."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from evenkeel.tf1 import stacks
from evenkeel.tf1.program.launch import run_program


class Ended(NamedTuple):
    status: object
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Writes a program as ``train.py`` into an empty folder and runs it there."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, *arguments: str) -> Ended:
        Path("train.py").write_text(text)
        status: object
        try:
            status = run_program("train.py", arguments)
        except SystemExit as end:
            status = end.code
        stacks.reset_default_graph()
        return Ended(status, *capsys.readouterr())

    return run
