"""TFLearn's own layers: values, gradients and names as under real TensorFlow 1.15.5.

`recorded/tf1/tflearn/layers.json` is what `layers.txt` printed there, with the same seeds.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
RECORDED = HERE.parents[1] / "recorded" / "tf1" / "tflearn" / "layers.json"
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


def test_every_layer_is_tensorflows(run: Run) -> None:
    expected = json.loads(RECORDED.read_text())
    done = run((HERE / "layers.txt").read_text())
    line = next(line for line in done.stdout.splitlines() if "{" in line)
    found = json.loads(line[line.index("{") : line.rindex("}") + 1])
    assert found.keys() == expected.keys()
    assert {k: found[k] for k in expected if not close(found[k], expected[k])} == {}
