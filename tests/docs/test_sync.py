"""The code of docs/sync.md runs, and its figures are the code's."""

import re
from pathlib import Path
from typing import Any

import evenkeel as ek
from evenkeel.peers import BLOCK

PAGE = (Path(__file__).parents[2] / "docs" / "sync.md").read_text()


def test_the_examples_run() -> None:
    space: dict[str, Any] = {}
    first, *others = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(first, space)
    (layer,) = [part for part in space["model"] if isinstance(part, ek.SyncBatchNorm)]
    assert layer.spec.activation == "relu"
    for code in others:
        exec(code, space)
    assert all(p.grad is not None for p in space["model"].parameters())
    assert list(space["merged"]) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_the_size_of_a_message_is_the_written_one() -> None:
    assert f"| one all_gather | {BLOCK + 128} |" in PAGE
