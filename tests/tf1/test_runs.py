"""Whole programs with sessions, hooks, queues, summaries and Estimators: real TensorFlow's numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from tf1 import runs

NAMES = sorted(p.stem for p in (Path(runs.HERE) / "runs").glob("*.txt"))


def differences(expected: Any, found: Any, at: str = "out") -> list[str]:
    """Where two results differ: texts and structure exactly, numbers by rounding."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if expected.keys() != found.keys():
            return [f"{at}: {sorted(expected)} and {sorted(found)}"]
        return [d for k in expected for d in differences(expected[k], found[k], f"{at}.{k}")]
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return [f"{at}: {len(expected)} and {len(found)} long"]
        pairs = enumerate(zip(expected, found, strict=True))
        return [d for i, (e, f) in pairs for d in differences(e, f, f"{at}[{i}]")]
    if isinstance(expected, float) and isinstance(found, float | int):
        return (
            []
            if np.isclose(expected, found, rtol=1e-4, atol=1e-5)
            else [f"{at}: {expected}, {found}"]
        )
    return [] if expected == found else [f"{at}: {expected!r} and {found!r}"]


@pytest.mark.parametrize("name", NAMES)
def test_the_program_finds_what_tensorflow_found(name: str) -> None:
    assert differences(runs.recorded(name), runs.run(tf, name)) == []


def test_a_difference_is_seen() -> None:
    assert differences({"a": [1.0, "x"]}, {"a": [1.0, "x"]}) == []
    for other in (
        {"a": [1.01, "x"]},
        {"a": [1.0, "y"]},
        {"a": [1.0]},
        {"b": [1.0, "x"]},
        {"a": [None, "x"]},
    ):
        assert differences({"a": [1.0, "x"]}, other)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_recording_is_what_tensorflow_says(name: str, shared: Path, tmp_path: Path) -> None:
    import json
    import subprocess

    command = [str(shared / "oracle" / "tf115.sh"), runs.__file__, "--under", "tensorflow", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert differences(json.loads(done.stdout.splitlines()[-1]), runs.recorded(name)) == []
