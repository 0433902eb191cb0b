"""What TensorFlow 1.15.5 wrote, and the tensors that it was given."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]
RECORDED = Path(__file__).parents[1] / "recorded" / "checkpoint"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A copy of the recorded checkpoints, to be damaged at will."""
    return shutil.copytree(RECORDED, tmp_path / "recorded", symlinks=True)


@pytest.fixture
def tensors() -> Tensors:
    """What tests/recorded/checkpoint/save.txt saved as ``small``, in that order."""
    r = np.random.RandomState(3)
    return {
        "w/kernel": r.randn(3, 5).astype(np.float32),
        "w/bias": np.zeros(5, np.float32),
        "step": np.array(7, np.int64),
        "empty": np.zeros((0, 4), np.float32),
        "flag": np.array([True, False]),
        "half": r.randn(3).astype(np.float16),
        "double": r.randn(2, 2),
        "c64": (r.randn(2) + 1j).astype(np.complex64),
        "c128": r.randn(2) + 2j,
        "i8": np.arange(3, dtype=np.int8),
        "u8": np.arange(3, dtype=np.uint8),
        "i16": np.arange(3, dtype=np.int16),
        "u16": np.arange(3, dtype=np.uint16),
        "i32": np.arange(3, dtype=np.int32),
        "text": np.array([[b"", b"abc"], [b"x" * 300, b"\xff\x00"]], dtype=object),
    }


@pytest.fixture
def tensorflow(shared: Path, tmp_path: Path) -> Callable[[str], str]:
    """Runs a program under real TensorFlow 1.15.5, in the test's folder; what it prints."""
    script = shared / "oracle" / "tf115.sh"
    if not script.is_file() or not (Path.home() / ".cache" / "tf115").is_dir():
        pytest.skip("TensorFlow 1.15.5 is not at hand")

    def run(program: str) -> str:
        (tmp_path / "program.py").write_text(program)
        done = subprocess.run(
            [script, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


@pytest.fixture
def more() -> Tensors:
    """What recorded/checkpoint/more.txt saved as ``v1``, in that order; quantized ones as integers."""
    r = np.random.RandomState(3)
    return {
        "w/kernel": r.randn(3, 5).astype(np.float32),
        "w/bias": np.zeros(5, np.float32),
        "step": np.array(7, np.int64),
        "empty": np.zeros((0, 4), np.float32),
        "flag": np.array([True, False]),
        "half": r.randn(3).astype(np.float16),
        "double": r.randn(2, 2),
        "c64": (r.randn(2) + 1j).astype(np.complex64),
        "c128": r.randn(2) + 2j,
        "i8": np.arange(-1, 2).astype(np.int8),
        "u8": np.arange(3, dtype=np.uint8),
        "i16": np.array([-300, 0, 300], np.int16),
        "u16": np.arange(3, dtype=np.uint16),
        "i32": np.array([-(2**31), -1, 0, 2**31 - 1], np.int32),
        "text": np.array([[b"", b"abc"], [b"x" * 300, b"\xff\x00"]], dtype=object),
        "q8": np.array([-3, 0, 5], np.int8),
        "qu8": np.array([3, 0, 5], np.uint8),
        "q32": np.array([-3, 0, 5], np.int32),
    }


@pytest.fixture
def low(more: Tensors) -> Tensors:
    """What it saved as ``low``."""
    return {name: more[name] for name in ("q8", "qu8", "q32")} | {
        "q16": np.array([-3, 0, 5], np.int16),
        "qu16": np.array([3, 0, 5], np.uint16),
        "u32": np.array([1, 2**32 - 1], np.uint32),
        "u64": np.array([1, 2], np.uint64),
        "bf": np.array([1.5, -2.0, 3.140625], np.float32),
    }
