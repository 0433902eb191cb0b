"""The Estimator program of the seed documents, whole, under ``evenkeel run``."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_estimator_mnist_is_inside_what_tensorflow_printed(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "MNIST_data").symlink_to(shared / "data" / "mnist")
    program = shared / "programs" / "estimator_mnist.py"
    command = [str(Path(sys.executable).with_name("evenkeel")), "run", str(program)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = json.loads((shared / "programs" / "expected.json").read_text())["estimator_mnist"]
    found = re.search(r"global_step 400 accuracy ([\d.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) >= expected["at_least"]["accuracy"]
    assert done.stdout.rstrip().endswith(expected["lines_end_with"][0])
