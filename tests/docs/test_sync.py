"""The code of docs/sync.md runs, and its figures are the code's."""

import re
from pathlib import Path

import evenkeel as ek
from evenkeel.peers import BLOCK

PAGE = (Path(__file__).parents[2] / "docs" / "sync.md").read_text()


def test_the_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    space: dict[str, object] = {}
    exec(code, space)
    (layer,) = [part for part in space["model"] if isinstance(part, ek.SyncBatchNorm)]  # type: ignore[attr-defined]
    assert layer.spec.activation == "relu"


def test_the_size_of_a_message_is_the_written_one() -> None:
    assert f"| one all_gather | {BLOCK + 128} |" in PAGE
