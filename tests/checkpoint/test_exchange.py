"""A network's checkpoint goes from TensorFlow 1.15.5 to the dialect and back: the same logits."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf

NET = Path(__file__).parents[1] / "recorded" / "checkpoint" / "net.txt"
KINDS = ["plain", "sharded", "v1", "v1 sharded"]


def ours(what: str, prefix: str) -> dict[str, Any]:
    """What the dialect says of the network."""
    with tf.Graph().as_default():
        found: dict[str, Any] = runpy.run_path(str(NET))["main"](tf, what, prefix)
    return found


def same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name in ("logits", "averaged"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=1e-5)
    assert found["step"] == wanted["step"] == 3
    assert np.abs(np.subtract(found["logits"], found["averaged"])).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_what_tensorflow_recorded_is_restored(recorded: Path, kind: str) -> None:
    wanted = json.loads((recorded / "net.json").read_text())[kind]
    same(ours("restore", str(recorded / wanted["path"])), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_what_we_save_is_restored(tmp_path: Path, kind: str) -> None:
    wanted = ours(f"save {kind}", str(tmp_path / "net"))
    same(ours("restore", wanted["path"]), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_tensorflow_restores_what_we_save(
    tmp_path: Path, tensorflow: Callable[[str], str], kind: str
) -> None:
    wanted = ours(f"save {kind}", str(tmp_path / "net"))
    program = f"import sys\nsys.argv[1:] = ['restore', {wanted['path']!r}]\n{NET.read_text()}"
    same(json.loads(tensorflow(program).splitlines()[-1]), wanted)
