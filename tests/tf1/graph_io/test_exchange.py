"""Files that TensorFlow 1.15.5 wrote, read here; and both ways with the real one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from tf1.graph_io import exchange

# Made by `tf115.sh exchange.py tensorflow write FOLDER`.
RECORDED = Path(__file__).parents[2] / "recorded" / "tf1" / "exchange"
SCRIPT = Path(exchange.__file__)
LARGEST = 1e-5


def difference(a: Any, b: Any) -> float:
    return float(np.max(np.abs(np.subtract(a, b))))


def compare(written: dict[str, Any], read: dict[str, Any]) -> None:
    for key in ("before", "losses", "after"):
        assert difference(written[key], read["meta"][key]) < LARGEST, key
    for key in ("frozen", "saved"):
        assert difference(written["before"], read[key]) < LARGEST, key
    assert read["meta"]["step"] == written["step"] == 8
    assert written["losses"][-1] < written["losses"][0]
    assert {k: len(v) for k, v in read["names"].items()} == {
        "variables": 21, "trainable_variables": 6, "moving_average_variables": 6,
    }  # fmt: skip
    assert read["others"] == [[7], "b'plain'"]


def loaded(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    written, read = (json.loads((folder / f"{n}.json").read_text()) for n in ("written", "read"))
    return written, read


def test_what_tensorflow_wrote_is_taken_over_and_trained_on(tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    shutil.copytree(RECORDED, folder)
    exchange.read(tf, folder)
    compare(*loaded(folder))


@pytest.fixture
def tf115(shared: Path) -> Path:
    """The script that runs a program under TensorFlow 1.15.5."""
    if (
        not list((Path.home() / ".pyenv" / "versions").glob("3.7.*"))
        and not (Path.home() / ".cache" / "tf115").is_dir()
    ):
        pytest.skip("there is no Python 3.7 to run TensorFlow 1.15 with")
    return shared / "oracle" / "tf115.sh"


@pytest.mark.slow
@pytest.mark.parametrize("ours_first", [True, False], ids=["to tensorflow", "from tensorflow"])
def test_both_ways_with_the_real_one(tf115: Path, tmp_path: Path, ours_first: bool) -> None:
    ours = [sys.executable, str(SCRIPT), "evenkeel.tf1"]
    theirs = [str(tf115), str(SCRIPT), "tensorflow"]
    first, second = (ours, theirs) if ours_first else (theirs, ours)
    for command, verb in ((first, "write"), (second, "read")):
        done = subprocess.run(
            [*command, verb, str(tmp_path)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    compare(*loaded(tmp_path))
