"""`evenkeel bench` as a person calls it: quick runs end to end."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import pytest
import torch

from evenkeel.kernels import library
from evenkeel.version import __version__

Command = Callable[..., "subprocess.CompletedProcess[str]"]
QUICK = ("--quick", "--threads", "1", "--seconds", "0.001")


def test_ops_end_to_end(command: Command, tmp_path: Path) -> None:
    done = command("bench", "ops", *QUICK, "--case", "36x4x4", "--rivals", "torch,jax")
    assert done.returncode == 0, done.stderr
    assert "geometric mean" in done.stdout
    assert "BN + ReLU, training, float32, against torch eager" in done.stdout
    assert "conv20-64x36x4x4-nhwc" in done.stdout
    record = json.loads((tmp_path / "runs/bench-001/ops.json").read_text())
    assert (record["format"], record["version"], record["suite"]) == ("evenkeel-bench", 1, "ops")
    machine = record["machine"]
    assert (machine["threads"], machine["torch"]) == (1, torch.__version__)
    assert machine["evenkeel"] == __version__
    assert {"cpu", "capability", "cores", "load", "system", "python", "commit"} < set(machine)
    assert record["options"]["case"] == "36x4x4"
    assert len(record["rows"]) == record["planned"] == 10
    for row in record["rows"]:
        rival = "multiply-add" if row["operation"] == "inference_in_place" else "torch"
        assert set(row["sides"]) == {"evenkeel", rival, "copy", "empty call"}
        assert row["sides"][rival]["ratio"].keys() == {"median", "p10", "p90", "fastest"}
        assert row["refused"] == {}
    assert {s["operation"] for s in record["summary"] if s["rival"] == "torch"} == {
        "bn",
        "bn_relu",
        "bn_add_relu",
        "inference",
    }


def test_the_chart_is_a_picture(command: Command, tmp_path: Path) -> None:
    done = command("bench", "ops", *QUICK, "--case", "dense-64", "--out", "here")
    assert done.returncode == 0, done.stderr
    assert "written: here/ops-torch.png" in done.stdout
    picture = matplotlib.image.imread(tmp_path / "here" / "ops-torch.png")
    assert picture.shape[0] > 200
    assert picture.shape[1] > picture.shape[0]
    assert picture[..., :3].std() > 0.02


def test_a_missing_rival_is_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evenkeel.bench.rivals.find_spec", lambda _: None)
    done = command("bench", *QUICK, "--case", "dense-64", "--rivals", "torch,tensorflow")
    assert done.returncode == 0, done.stderr
    assert "left out: tensorflow: tensorflow is not installed" in done.stdout


@pytest.mark.parametrize("suite", ["accuracy", "memory", "determinism"])
def test_the_other_suites(command: Command, tmp_path: Path, suite: str) -> None:
    done = command("bench", suite, *QUICK, "--case", "dense-64", "--out", "here")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "here" / f"{suite}.json").read_text())
    assert record["suite"] == suite
    own = [row for row in record["rows"] if row["case"] == "dense-64x100-nc"]
    assert len(own) == (3 if suite == "memory" else 4)
    assert "dense-64x100-nc" in done.stdout


def test_traffic(command: Command, tmp_path: Path) -> None:
    if library.why_missing():
        pytest.skip(library.why_missing())
    done = command("bench", "traffic", *QUICK, "--out", "here")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "here" / "traffic.json").read_text())["rows"]
    assert set(row["sides"]) == {"evenkeel", "copy", "floor"}
    assert row["case"] in done.stdout
    assert "against the traffic floor" in done.stdout


def test_traffic_needs_the_library(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evenkeel.kernels.library.why_missing", lambda: "no compiler")
    done = command("bench", "traffic", *QUICK)
    assert done.returncode == 2
    assert "no compiler" in done.stderr


def test_nets(command: Command, tmp_path: Path) -> None:
    done = command("bench", "nets", *QUICK, "--out", "here")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "here" / "nets.json").read_text())["rows"]
    assert (row["case"], row["refused"]) == ("conv20-nchw", {})
    assert set(row["sides"]) == {"evenkeel", "torch", "copy", "empty call"}


def test_a_refused_side_is_said_and_the_exit_code_is_1(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evenkeel.bench.oracle.BUDGETS", {torch.float32: 0.0})
    done = command("bench", *QUICK, "--case", "dense-64")
    assert done.returncode == 1
    assert "refused: dense-64x100-nc bn, evenkeel: y differs" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "no suite is called 'nonsense'"),
        (["ops", "--case", "nonsense"], "no case is called 'nonsense'"),
        (["ops", "--rivals", "nonsense"], "no rival is called 'nonsense'"),
        (["ops", "--dtype", "float16"], "dtype must be float32 or bfloat16"),
        (["ops", "--threads", "0"], "threads must be at least 1"),
        (["ops", "--seconds", "-1"], "seconds must be a finite number above 0"),
        (["nets", "--dtype", "bfloat16"], "nets are measured in float32"),
    ],
)
def test_a_bad_argument_is_one_clear_message(
    command: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = command("bench", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")
    assert "Traceback" not in done.stderr
    assert not [*tmp_path.rglob("bench-*")]
