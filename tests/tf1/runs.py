"""Whole programs under either TensorFlow: what they put into `out`. usage: runs.py TF115_SH [NAME ...]

A program of ``runs/`` uses `tf`, `np`, `os` and a `folder` of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # Python 3.7 runs this too
RECORDED = os.path.join(HERE, "..", "recorded", "tf1")  # noqa: PTH118


def run(tf: Any, name: str) -> dict[str, Any]:
    """What a program finds, as JSON gives it back."""
    with open(os.path.join(HERE, "runs", name + ".txt")) as file:  # noqa: PTH118, PTH123
        text = file.read()
    with tempfile.TemporaryDirectory() as folder:
        space: dict[str, Any] = {"tf": tf, "np": np, "os": os, "folder": folder, "out": {}}
        exec(compile(text, name, "exec"), space)
    found: dict[str, Any] = json.loads(json.dumps(space["out"]))
    return found


def recorded(name: str) -> dict[str, Any]:
    """What TensorFlow found."""
    with open(os.path.join(RECORDED, "run_" + name + ".json")) as file:  # noqa: PTH118, PTH123
        found: dict[str, Any] = json.load(file)
    return found


def main() -> None:
    """Record the programs named, or all."""
    names = sys.argv[2:] or sorted(n[:-4] for n in os.listdir(os.path.join(HERE, "runs")))  # noqa: PTH118, PTH208
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.argv[1], os.path.abspath(__file__), "--under", "tensorflow", name]  # noqa: PTH100
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        with open(os.path.join(RECORDED, "run_" + name + ".json"), "w") as file:  # noqa: PTH118, PTH123
            file.write(done.stdout.splitlines()[-1] + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "--under":
        module = importlib.import_module(sys.argv[2])
        sys.stdout.write(json.dumps(run(module, sys.argv[3]), separators=(",", ":")) + "\n")
    else:
        main()
