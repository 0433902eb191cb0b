"""TFLearn under the hook as under real TensorFlow 1.15.5: what the programs beside this print.

`layers.txt`: values, gradients and names of every layer. `models.txt`: losses of every step of
`fit`, preprocessing, predictions, evaluation, checkpoints. `recorded/tf1/tflearn/` has TensorFlow's
answers. A loss that TFLearn shows is a moving average read beside its own update: TensorFlow may
read it before or after, so optimizers where it read after are left out.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
RECORDED = HERE.parents[1] / "recorded" / "tf1" / "tflearn"
Run = Callable[..., Any]  # conftest's


def close(found: Any, expected: Any) -> bool:
    """Equal texts and shapes, numbers within float32's rounding over many steps."""
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(close, found, expected))
    if isinstance(expected, str):
        return bool(found == expected)
    return bool(abs(found - expected) <= 1e-4 * max(1.0, abs(expected)))


@pytest.mark.parametrize("wrong", [[1.0, "b"], [1.001, "a"], [float("nan"), "a"], [1.0]])
def test_a_difference_is_seen(wrong: Any) -> None:
    assert close([1.0, "a"], [1.0, "a"])
    assert not close(wrong, [1.0, "a"])


@pytest.mark.parametrize("program", ["layers", "models"])
def test_what_tflearn_builds_is_tensorflows(run: Run, program: str) -> None:
    expected = json.loads((RECORDED / f"{program}.json").read_text())
    done = run((HERE / f"{program}.txt").read_text())
    line = [line for line in done.stdout.splitlines() if line.startswith("{")][-1:]
    assert line, done.stderr[-2000:]
    found = json.loads(line[0])
    assert found.keys() == expected.keys()
    assert {k: found[k] for k in expected if not close(found[k], expected[k])} == {}
