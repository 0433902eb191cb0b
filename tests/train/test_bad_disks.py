"""Disks that are full or may not be written: the error names the file, nothing is half-written."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evenkeel.errors import BadRun
from evenkeel.train.run import resume, train
from train.attempts import Attempt, assert_same_run, words

OPTIONS: dict[str, Any] = {"recipe": "dnn-elu", "steps": 3, "threads": 1, "progress": False}
FILES = (
    *("run.json", "last.ckpt", "metrics.csv", "model.safetensors", "result.json"),
    *("report.html", "report.png"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(**OPTIONS, out=tmp_path_factory.mktemp("whole") / "run").folder


@pytest.mark.parametrize("name", FILES)
def test_a_disk_that_is_full_at_any_file_is_named_and_the_run_goes_on(
    name: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    sync = os.fsync

    def full(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().name == f".{name}.part":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BadRun, match="cannot be written") as caught:
            train(**OPTIONS, out=folder)
    assert caught.value.problem.startswith(name)
    assert "No space left on device" in caught.value.got
    assert not list(tmp_path.rglob("*.part"))
    _ = resume(folder, progress=False) if folder.exists() else train(**OPTIONS, out=folder)
    assert_same_run(folder, whole)


def mounted(script: str, *given: Path) -> "subprocess.CompletedProcess[str]":
    """Run a shell script that may mount, in a namespace of its own."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let us mount in a namespace")
    begin = f'set -e; evenkeel() {{ {sys.executable} -m evenkeel "$@"; }}\n'
    return subprocess.run(
        ["unshare", "-rm", "bash", "-c", begin + script, "bash", *map(str, given)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_small_disk_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    """Room for one checkpoint and a half: the second save fails."""
    whole, small = tmp_path / "whole", tmp_path / "small"
    Attempt(whole, words()).end()
    small.mkdir()
    room = int(1.5 * (whole / "last.ckpt").stat().st_size)
    done = mounted(
        f"""
        mount -t tmpfs -o size={room} none $1
        evenkeel train {" ".join(words())} --out $1/run && exit 9 || code=$?
        ls -A $1/run; cp -r $1/run $2; exit $code
        """,
        *(small, tmp_path / "run"),
    )
    assert done.returncode == 2, done
    assert "error: last.ckpt cannot be written" in done.stderr
    assert "No space left on device" in done.stderr
    assert set(done.stdout.split()) <= {"run.json", "last.ckpt", "metrics.csv"}
    Attempt(tmp_path / "run", words()).end()
    assert_same_run(tmp_path / "run", whole)


@pytest.mark.slow
def test_a_folder_on_a_disk_that_is_read_only_is_refused(whole: Path, tmp_path: Path) -> None:
    for given, words_of_error in (
        ("dnn-elu --out $1/new", "the output folder cannot be written"),
        ("dnn-elu --out $1", "the output folder cannot be written"),
        ("--resume $1", "cannot be written"),
    ):
        done = mounted(
            f"mount --bind $1 $1; mount -o remount,ro,bind $1; evenkeel train {given}", whole
        )
        assert done.returncode == 2, done
        assert words_of_error in done.stderr
        assert "Traceback" not in done.stderr
