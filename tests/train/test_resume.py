"""Runs that are really killed, in processes of their own, against one that never stopped."""

import multiprocessing
import os
import random
import resource
import runpy
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from evenkeel.errors import BadRun
from evenkeel.train.run import resume, train

STEPS = 330
PROGRAM = str(Path(__file__).with_name("observed_run.py"))
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["evenkeel.train.run"])

# Dropout, a decaying rate, batch normalization; 40 steps are an epoch, so stops fall inside one.
OPTIONS: dict[str, Any] = {
    "recipe": "mnist-estimator",
    "batch_size": 32,
    "steps": STEPS,
    "threads": 1,
    "seed": 5,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that never stopped."""
    return train(**OPTIONS, out=tmp_path_factory.mktemp("whole") / "run", progress=False).folder


class Attempt:
    """One process that begins or resumes the run in ``folder``."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self._notes = folder.with_suffix(".notes")
        self._notes.write_text("0")
        self._folder = folder
        given = {"out": str(folder), "notes": str(self._notes), "options": {**OPTIONS, **options}}
        self.process: ForkServerProcess = FORKSERVER.Process(
            target=runpy.run_path,
            args=(PROGRAM,),
            kwargs={"init_globals": {"GIVEN": given}, "run_name": "__main__"},
        )
        self.process.start()

    @property
    def step(self) -> int:
        """The last step the process finished, saved or not."""
        return int(self._notes.read_text() or 0)

    @property
    def running(self) -> bool:
        return self.process.is_alive()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        while self.running and not condition():
            time.sleep(0.0005)

    def stop(self, number: int) -> None:
        """Send a signal and wait for the end."""
        if self.process.pid is not None and self.running:
            os.kill(self.process.pid, number)
        self.process.join()


def saved_step(folder: Path) -> int:
    path = folder / "last.ckpt"
    return int(torch.load(path, weights_only=True)["step"]) if path.exists() else 0


def assert_same_run(folder: Path, whole: Path) -> None:
    for name in ("metrics.csv", "model.safetensors", "run.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    ours, theirs = (torch.load(f / "last.ckpt", weights_only=True) for f in (folder, whole))
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"seconds"}:
        assert_equal(ours[name], theirs[name], name)


def assert_equal(a: object, b: object, where: str) -> None:
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        assert a.dtype == b.dtype, where
        assert torch.equal(a, b), where
    elif isinstance(a, dict) and isinstance(b, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_equal(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list) and isinstance(b, list):
        assert len(a) == len(b), where
        for number, pair in enumerate(zip(a, b, strict=True)):
            assert_equal(*pair, f"{where}[{number}]")
    else:
        assert a == b, where


def test_the_comparison_sees_a_difference(whole: Path, tmp_path: Path) -> None:
    for name in ("metrics.csv", "model.safetensors", "run.json", "last.ckpt"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    assert_same_run(tmp_path, whole)
    content = torch.load(whole / "last.ckpt", weights_only=True)
    content["optimizer"]["state"][0]["exp_avg"].flatten()[0] += 1e-7
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(AssertionError, match="exp_avg"):
        assert_same_run(tmp_path, whole)


def test_a_run_that_is_killed_again_and_again_ends_the_same(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    kills: list[int] = []
    for _ in range(100):
        attempt = Attempt(folder)
        begin = saved_step(folder)
        target = begin + (random.randint(20, 110) if kills else 80)
        attempt.wait_for(lambda a=attempt, t=target: a.step >= t)  # type: ignore[misc]
        attempt.stop(signal.SIGKILL)
        if attempt.process.exitcode == 0:
            break
        reached, saved = max(attempt.step, begin), saved_step(folder)
        assert 0 <= reached - saved <= 50, f"lost {reached - saved} steps"
        kills.append(reached)
    assert len(kills) >= 3, kills
    assert any(step % 50 for step in kills), kills
    assert_same_run(folder, whole)


def test_a_kill_in_the_middle_of_saving_loses_nothing_that_was_saved(
    whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    part = folder / ".last.ckpt.part"
    caught = 0
    for _ in range(100):
        part.unlink(missing_ok=True)
        before = saved_step(folder)
        attempt = Attempt(folder)
        while attempt.running and not part.exists():
            pass  # the file is there for a millisecond
        attempt.stop(signal.SIGKILL)
        caught += part.exists()
        assert saved_step(folder) >= before  # whole, and no older
        if caught == 3 or attempt.process.exitcode == 0:
            break
    assert caught, "no kill fell into a save: the test has not tested anything"
    last = Attempt(folder)
    last.process.join()
    assert last.process.exitcode == 0
    assert_same_run(folder, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_step_it_came_in_and_the_rest_ends_the_same(
    whole: Path, tmp_path: Path, number: int
) -> None:
    folder = tmp_path / "run"
    attempt = Attempt(folder)
    attempt.wait_for(lambda: attempt.step >= 73)
    attempt.stop(number)
    assert attempt.process.exitcode == 1  # Interrupted, a KeyboardInterrupt
    assert 73 <= saved_step(folder) < STEPS
    assert saved_step(folder) == attempt.step
    assert not (folder / "result.json").exists()
    rows = (folder / "metrics.csv").read_text().splitlines()
    assert rows[-1].startswith(f"{saved_step(folder)},")
    second = Attempt(folder)
    second.process.join()
    assert second.process.exitcode == 0
    assert_same_run(folder, whole)


def test_a_full_disk_leaves_the_last_checkpoint_and_the_way_on(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    attempt = Attempt(folder)
    attempt.wait_for(lambda: saved_step(folder) >= 100)
    attempt.stop(signal.SIGKILL)
    before = (folder / "last.ckpt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(BadRun, match=r"last\.ckpt cannot be written"):
            resume(folder, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (folder / "last.ckpt").read_bytes() == before
    resume(folder, progress=False)
    assert_same_run(folder, whole)


def test_a_comparison_goes_on_where_it_stopped(tmp_path: Path) -> None:
    options = {"recipe": "ioffe-sigmoid", "steps": 120, "compare": True}
    whole = tmp_path / "whole"
    Attempt(whole, **options).process.join()
    folder = tmp_path / "run"
    for arm in ("with-bn", "without-bn"):
        attempt = Attempt(folder, **options)
        attempt.wait_for(lambda arm=arm: saved_step(folder / arm) >= 50)  # type: ignore[misc]
        attempt.stop(signal.SIGKILL)
    finished = (folder / "with-bn" / "last.ckpt").stat().st_mtime_ns
    last = Attempt(folder, **options)
    last.process.join()
    assert last.process.exitcode == 0
    assert (folder / "with-bn" / "last.ckpt").stat().st_mtime_ns == finished
    for arm in ("with-bn", "without-bn"):
        assert_same_run(folder / arm, whole / arm)
    assert (folder / "report.html").exists()
