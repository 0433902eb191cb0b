"""Processes that begin a run or go on with it, to be killed; and what makes two runs the same."""

import multiprocessing
import os
import runpy
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch

STEPS = 330
PROGRAM = str(Path(__file__).with_name("observed_run.py"))
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["evenkeel.train.run", "evenkeel.train.arm"])


def words(recipe: str = "mnist-estimator", batch_size: int = 32, steps: int = STEPS) -> list[str]:
    """Dropout, a decaying rate, batch normalization; 40 steps are an epoch, stops fall inside one."""
    options = {"--batch-size": batch_size, "--steps": steps, "--threads": 1, "--seed": 5}
    return [recipe, *(str(word) for pair in options.items() for word in pair)]


class Attempt:
    """One process that begins or resumes the run in ``folder``."""

    def __init__(self, folder: Path, given: Sequence[str] = ()) -> None:
        self._notes = folder.with_suffix(".notes")
        self._notes.write_text("00000000 starting    ")
        self.log = folder.with_suffix(".log")
        options = {"out": str(folder), "notes": str(self._notes), "words": given or words()}
        self.process: ForkServerProcess = FORKSERVER.Process(
            target=runpy.run_path,
            args=(PROGRAM,),
            kwargs={"init_globals": {"GIVEN": options}, "run_name": "__main__"},
        )
        self.process.start()

    @property
    def step(self) -> int:
        """The last step the process finished, saved or not."""
        return int(self._notes.read_text()[:8])

    @property
    def part(self) -> str:
        """What it was doing last."""
        return self._notes.read_text()[8:].strip()

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

    def end(self) -> None:
        """Wait until it is done."""
        self.process.join()
        assert self.process.exitcode == 0, self.log.read_text()


def saved_step(folder: Path) -> int:
    path = folder / "last.ckpt"
    return int(torch.load(path, weights_only=True)["step"]) if path.exists() else 0


def assert_same_run(folder: Path, whole: Path) -> None:
    """Whether two runs left the same files, but for the seconds they took; nothing half-written."""
    odd = {file.name for file in folder.iterdir()} ^ {file.name for file in whole.iterdir()}
    assert not odd, odd
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
