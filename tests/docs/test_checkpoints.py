"""The code of docs/checkpoints.md runs."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "checkpoints.md"


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    space: dict[str, object] = {}
    exec(code, space)
    assert capsys.readouterr().out == "conv/kernel float32 (3, 3, 1, 8)\nstep int64 ()\n"
    assert getattr(space["rows"], "shape", None) == (1, 3, 1, 8)
