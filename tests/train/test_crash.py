"""`evenkeel train` killed with SIGKILL at random moments: it ends as if it had never been."""

import random
import signal
import time
from pathlib import Path

import pytest

from train.attempts import Attempt, assert_same_run, words

GIVEN = words(steps=130)
PARTS = ("starting", "training", "saving", "evaluating", "finishing", "reporting")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    Attempt(folder, GIVEN).end()
    return folder


def killed(folder: Path, part: str) -> str:
    """Begin or go on, and kill at a random moment in a part of the work; the part it was in."""
    attempt = Attempt(folder, GIVEN)
    target = attempt.step + random.randint(1, 60) if part == "training" else 0
    attempt.wait_for(lambda: attempt.part == part and attempt.step >= target)
    time.sleep(random.uniform(0, 0.5 if part == "starting" else 0.02))
    attempt.stop(signal.SIGKILL)
    assert attempt.process.exitcode in (0, -signal.SIGKILL), attempt.log.read_text()
    return "over" if attempt.process.exitcode == 0 else attempt.part


def crash(folder: Path, whole: Path, kills: int) -> dict[str, int]:
    """Runs in folders below, killed again and again and then left in peace; kills in each part."""
    seen = dict.fromkeys([*PARTS, "opening", "loading"], 0)
    number = 0
    while sum(seen.values()) < kills:
        number += 1
        run = folder / f"run{number}"
        for part in random.sample(PARTS, k=min(5, kills - sum(seen.values()))):
            where = killed(run, part)
            if where == "over":
                break
            seen[where] += 1
        Attempt(run, GIVEN).end()
        assert_same_run(run, whole)
    return seen


def test_three_kills(whole: Path, tmp_path: Path) -> None:
    assert sum(crash(tmp_path, whole, 3).values()) == 3


@pytest.mark.slow
def test_fifty_kills_in_every_part_of_the_work(
    whole: Path, tmp_path: Path, record_property: pytest.FixtureRequest
) -> None:
    seen = crash(tmp_path, whole, 50)
    record_property("kills", str(seen))  # type: ignore[operator]
    assert sum(seen.values()) == 50
    assert all(seen[part] for part in PARTS), seen


def test_a_start_that_was_killed_before_its_first_file_can_be_made_again(
    whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".run.json.part").write_text("{")
    Attempt(folder, GIVEN).end()
    assert_same_run(folder, whole)
