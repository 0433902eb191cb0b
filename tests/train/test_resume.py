"""Runs that are really killed, in processes of their own, against one that never stopped."""

import random
import resource
import signal
from pathlib import Path

import pytest
import torch

from evenkeel.errors import BadRun
from evenkeel.train.run import resume
from train.attempts import STEPS, Attempt, assert_same_run, saved_step, words


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    Attempt(folder).end()
    return folder


def test_the_comparison_sees_a_difference(whole: Path, tmp_path: Path) -> None:
    for file in whole.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert_same_run(tmp_path, whole)
    content = torch.load(whole / "last.ckpt", weights_only=True)
    content["optimizer"]["state"][0]["exp_avg"].flatten()[0] += 1e-7
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(AssertionError, match="exp_avg"):
        assert_same_run(tmp_path, whole)
    (tmp_path / ".last.ckpt.part").touch()
    with pytest.raises(AssertionError, match="part"):
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
    Attempt(folder).end()
    assert_same_run(folder, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_step_it_came_in_and_the_rest_ends_the_same(
    whole: Path, tmp_path: Path, number: int
) -> None:
    folder = tmp_path / "run"
    attempt = Attempt(folder)
    attempt.wait_for(lambda: attempt.step >= 73)
    attempt.stop(number)
    assert attempt.process.exitcode == 128 + number
    assert 73 <= saved_step(folder) < STEPS
    assert saved_step(folder) == attempt.step
    assert not (folder / "result.json").exists()
    rows = (folder / "metrics.csv").read_text().splitlines()
    assert rows[-1].startswith(f"{saved_step(folder)},")
    Attempt(folder).end()
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
    given = [*words("ioffe-sigmoid", steps=120), "--compare"]
    whole = tmp_path / "whole"
    Attempt(whole, given).end()
    folder = tmp_path / "run"
    for arm in ("with-bn", "without-bn"):
        attempt = Attempt(folder, given)
        attempt.wait_for(lambda arm=arm: saved_step(folder / arm) >= 50)  # type: ignore[misc]
        attempt.stop(signal.SIGKILL)
    finished = (folder / "with-bn" / "last.ckpt").stat().st_mtime_ns
    Attempt(folder, given).end()
    assert (folder / "with-bn" / "last.ckpt").stat().st_mtime_ns == finished
    for arm in ("with-bn", "without-bn"):
        assert_same_run(folder / arm, whole / arm)
    assert (folder / "report.html").exists()
