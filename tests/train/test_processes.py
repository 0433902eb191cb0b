"""Training in two processes against one: same numbers, same files; lost, stopped and resumed."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from evenkeel.train.folder import load_result, open_folder
from evenkeel.train.run import Run, resume, train
from train.attempts import assert_same_run

# Dropout, a decaying rate, a batch that two cannot share equally; float64 so that rounding stays small.
OPTIONS: dict[str, Any] = {
    "recipe": "mnist-estimator",
    "batch_size": 15,
    "steps": 16,
    "seed": 3,
    "threads": 1,
    "dtype": "float64",
    "progress": False,
}
NEAR = 1e-9


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(**OPTIONS, out=tmp_path_factory.mktemp("one") / "run")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(**OPTIONS, nproc=2, out=tmp_path_factory.mktemp("two") / "run")


def assert_near(folder: Path, other: Path) -> None:
    """Whether two runs have the same history and state but for rounding."""
    rows, others = ((f / "metrics.csv").read_text().splitlines() for f in (folder, other))
    assert len(rows) == len(others)
    for row, theirs in zip(rows[1:], others[1:], strict=True):
        (step, event, *ours), (_, _, *figures) = row.split(","), theirs.split(",")
        for a, b in zip(ours, figures, strict=True):
            # a percentile is of float64 values, kept in float32
            limit = 1e-6 if event == "unit_input" else NEAR
            assert a == b or abs(float(a) - float(b)) <= limit, (step, event, a, b)
    states = [torch.load(f / "last.ckpt", weights_only=True) for f in (folder, other)]
    for name, value in states[0]["network"].items():
        assert torch.allclose(value, states[1]["network"][name], rtol=0, atol=NEAR), name
    assert torch.equal(states[0]["rng"]["torch"], states[1]["rng"]["torch"])  # dropout drew as much


def test_two_processes_do_what_one_does(one: Run, two: Run) -> None:
    assert_near(two.folder, one.folder)
    [ours], [theirs] = two.results, one.results
    assert (ours.nproc, theirs.nproc) == (2, 1)
    assert ours.test_accuracy == theirs.test_accuracy
    assert ours.check.agreement == theirs.check.agreement
    assert [gap.layer for gap in ours.check.layers] == [gap.layer for gap in theirs.check.layers]
    assert sorted(p.name for p in two.folder.iterdir()) == sorted(
        p.name for p in one.folder.iterdir()
    )
    assert load_result(two.folder) == ours


def words(*more: str) -> list[str]:
    """The command for the same run in the folder ``run``."""
    options = {f"--{name.replace('_', '-')}": OPTIONS[name] for name in OPTIONS}
    del options["--recipe"], options["--progress"]
    given = [str(word) for pair in options.items() for word in pair]
    return ["train", OPTIONS["recipe"], *given, "--out", "run", *more]


def start(folder: Path, *given: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", *given],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def begun(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """The same run, begun by the command in a process of its own, in ``tmp_path``/run."""
    process = start(tmp_path, "evenkeel", *words("--nproc", "2"))
    yield process
    process.kill()
    process.communicate()


def workers_of(process: "subprocess.Popen[str]") -> dict[int, int]:
    """The process's children by rank."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    found: dict[int, int] = {}
    for child in path.read_text().split():
        variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        found |= {int(v[5:]): int(child) for v in variables if v.startswith(b"RANK=")}
    return found


def wait_for_lines(process: "subprocess.Popen[str]", number: int) -> list[str]:
    assert process.stderr
    return [process.stderr.readline() for _ in range(number)]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_killed_process_ends_all_and_the_run_goes_on_as_it_was(
    two: Run, tmp_path: Path, begun: "subprocess.Popen[str]"
) -> None:
    wait_for_lines(begun, 5)  # the label and four evaluations of 16
    workers = workers_of(begun)
    os.kill(workers[1], signal.SIGKILL)
    _, err = begun.communicate(timeout=60)
    assert begun.returncode == 2
    assert "error: process 1 of 2 ended in the middle of the run\n  got: SIGKILL\n" in err
    assert err.count("error") == 1, err
    assert "Traceback" not in err
    assert err.endswith("go on with: evenkeel train --resume run\n")
    assert all(map(gone, workers.values()))
    resume(tmp_path / "run", progress=False)
    assert_same_run(tmp_path / "run", two.folder)


@pytest.mark.slow
def test_a_signal_stops_all_saved_and_another_number_goes_on(
    one: Run, tmp_path: Path, begun: "subprocess.Popen[str]"
) -> None:
    wait_for_lines(begun, 5)
    workers = workers_of(begun)
    begun.send_signal(signal.SIGTERM)
    out, err = begun.communicate(timeout=60)
    assert begun.returncode == 128 + signal.SIGTERM
    assert out == ""
    assert err.count("stopped and saved after step") == 1, err
    assert all(map(gone, workers.values()))
    again = resume(tmp_path / "run", nproc=1, progress=False)
    assert open_folder(again.folder)[1].nproc == 1
    assert_near(again.folder, one.folder)


@pytest.mark.slow
def test_the_processes_end_with_the_one_that_started_them(
    tmp_path: Path, begun: "subprocess.Popen[str]"
) -> None:
    wait_for_lines(begun, 2)
    workers = workers_of(begun)
    begun.kill()
    end = time.monotonic() + 30
    while not all(map(gone, workers.values())) and time.monotonic() < end:
        time.sleep(0.01)
    assert all(map(gone, workers.values()))


@pytest.mark.slow
def test_torchrun_starts_the_same_run_and_one_process_speaks(two: Run, tmp_path: Path) -> None:
    launcher = ("torch.distributed.run", "--nproc-per-node", "2", "-m", "evenkeel")
    process = start(tmp_path, *launcher, *words())
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.count("test accuracy") == 1
    assert err.count("validation loss") == len(two.results[0].evaluations)
    assert_same_run(tmp_path / "run", two.folder)
    process = start(tmp_path, *launcher, *words())
    out, err = process.communicate(timeout=120)
    assert process.returncode
    assert (out, err.count("error: this folder already holds a run")) == ("", 1)


@pytest.mark.slow
def test_four_processes_resumed_have_the_same_bits(one: Run, tmp_path: Path) -> None:
    whole = train(**OPTIONS, nproc=4, out=tmp_path / "whole").folder
    assert_near(whole, one.folder)
    process = start(tmp_path, "evenkeel", *words("--nproc", "4"))
    wait_for_lines(process, 6)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, err
    resume(tmp_path / "run", progress=False)
    assert_same_run(tmp_path / "run", whole)


@pytest.mark.slow
def test_ten_kills_of_one_process_or_all_leave_no_trace(two: Run, tmp_path: Path) -> None:
    for number in range(10):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = start(folder, "evenkeel", *words("--nproc", "2"))
        wait_for_lines(process, random.randint(1, 16))
        workers = workers_of(process)
        victims = random.choice([[workers[0]], [workers[1]], [process.pid, *workers.values()]])
        time.sleep(random.uniform(0, 0.3))
        for victim in victims:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        process.communicate(timeout=60)
        resume(folder / "run", progress=False)
        assert_same_run(folder / "run", two.folder)
