"""The launcher with small programs in place of training: who fails first, who hears of signals."""

import os
import signal
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evenkeel.errors import BadRun
from evenkeel.train import launch as module
from evenkeel.train.checkpoint import Diverged
from evenkeel.train.folder import claimed
from evenkeel.train.interrupt import Interrupted, StopWish
from evenkeel.train.launch import ProcessLost, WorkerError, launch
from train.configs import SHORT

CONFIG = replace(SHORT, nproc=3)
PARTS = {"problem": "the disk is full", "got": "0 bytes", "do": "make room", "at": ""}


@pytest.fixture
def launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call ``launch`` with a program of the test's, which knows ``rank`` and ``say``."""

    def call(program: str, wish: StopWish | None = None) -> None:
        begin = "import json, os, signal, sys, time\nrank = int(os.environ['RANK'])\n"
        begin += "say = lambda **report: print(json.dumps(report))\n"
        words = [sys.executable, "-c", begin + textwrap.dedent(program)]
        monkeypatch.setattr(module, "worker_words", lambda *_: words)
        with claimed(tmp_path) as claim:
            launch(tmp_path, CONFIG, wish or StopWish(), claim, progress=False)

    return call


def test_it_returns_when_all_have_ended_well(launched: Any) -> None:
    launched("pass")


def test_an_error_comes_out_as_it_was_raised_and_the_others_end(
    launched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE", 0.2)
    program = f"""
    if rank == 1:
        say(kind="BadRun", parts={PARTS})
        sys.exit(1)
    time.sleep(100)
    """
    with pytest.raises(BadRun, match="the disk is full") as caught:
        launched(program)
    assert caught.value.do == "make room"


def test_an_error_that_is_defined_elsewhere_is_found(launched: Any) -> None:
    with pytest.raises(Diverged):
        launched(f'say(kind="Diverged", parts={PARTS}); sys.exit(1)')


def test_a_bug_names_the_process_and_keeps_the_trace(launched: Any) -> None:
    program = """
    if rank == 2:
        say(kind="ZeroDivisionError", message="ZeroDivisionError: by zero", trace="line 7")
    sys.exit(1)  # the others were not the first
    """
    with pytest.raises(WorkerError, match="process 2 of 3: ZeroDivisionError: by zero") as caught:
        launched(program)
    assert caught.value.__notes__ == ["line 7"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_was_killed_comes_before_what_the_others_say_of_it(
    launched: Any, number: signal.Signals
) -> None:
    program = f"""
    if rank == 1:
        os.kill(os.getpid(), {int(number)})
    say(kind="RuntimeError", message="connection closed by peer", trace="")
    sys.exit(1)
    """
    with pytest.raises(ProcessLost, match="process 1 of 3") as caught:
        launched(program)
    assert caught.value.got == number.name
    assert ("memory" in caught.value.do) == (number == signal.SIGKILL)
    assert "evenkeel train --resume" in caught.value.do


def test_what_a_process_said_on_standard_error_is_not_lost(launched: Any) -> None:
    with pytest.raises(ProcessLost, match=r"exit code 7: oh: no"):
        launched("if rank == 1: sys.stderr.write('oh\\nno'); sys.exit(7)")


def test_a_signal_goes_to_each_once_even_before_it_is_ready(launched: Any, tmp_path: Path) -> None:
    program = """
    count = []
    signal.signal(signal.SIGTERM, lambda *_: count.append(1))
    time.sleep(0.5)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    time.sleep(0.5)
    if count != [1]:
        sys.exit(1)
    say(kind="Interrupted", stopped=[4, 10, 15])
    sys.exit(1)
    """
    wish = StopWish()
    timer = threading.Timer(0.1, lambda: setattr(wish, "number", signal.SIGTERM))
    timer.start()
    with pytest.raises(Interrupted, match="after step 4 of 10") as caught:
        launched(program, wish)
    timer.join()
    assert (caught.value.folder, caught.value.number) == (tmp_path, signal.SIGTERM)


def test_the_folder_stays_claimed_as_long_as_a_process_lives(launched: Any, tmp_path: Path) -> None:
    program = f"""
    import fcntl
    try:
        fcntl.flock(os.open({str(tmp_path)!r}, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held = [os.readlink(f"/proc/self/fd/{{n}}") for n in os.listdir("/proc/self/fd") if n > "2"
                and os.path.exists(f"/proc/self/fd/{{n}}")]
        sys.exit({str(tmp_path)!r} not in held)
    sys.exit(1)
    """
    launched(program)


def test_signals_of_this_process_are_as_they_were(launched: Any) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    launched("pass")
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    assert "RANK" not in os.environ
