import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import evenkeel
from evenkeel.train.interrupt import Interrupted, StopWish


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_wish_and_handlers_come_back(number: signal.Signals) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with StopWish() as wish:
        assert not wish.number
        os.kill(os.getpid(), number)
        assert wish.number == number
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_handlers_come_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError), StopWish():
        raise RuntimeError
    assert signal.getsignal(signal.SIGINT) == before


def test_signals_can_be_claimed_again_from_someone_else() -> None:
    with StopWish() as wish:
        signal.signal(signal.SIGTERM, lambda *_: None)
        wish.claim()
        os.kill(os.getpid(), signal.SIGTERM)
        assert wish.number == signal.SIGTERM


def test_the_second_signal_ends_the_process_at_once() -> None:
    program = (
        "import signal, time\n"
        "from evenkeel.train.interrupt import StopWish\n"
        "with StopWish():\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('still here', flush=True)\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('too far', flush=True)\n"
    )
    source = str(Path(evenkeel.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "still here\n"
    assert done.returncode == -signal.SIGINT


def test_outside_the_main_thread_nothing_is_caught() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with StopWish() as wish:
            wish.claim()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_the_message_says_what_was_saved_and_how_to_go_on() -> None:
    stop = Interrupted(Path("runs/my run"), 412, 800, signal.SIGTERM)
    assert str(stop) == (
        "stopped and saved after step 412 of 800; go on with: evenkeel train --resume 'runs/my run'"
    )
    assert isinstance(stop, KeyboardInterrupt)
    assert stop.number == 15
