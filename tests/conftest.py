"""Fixtures for every folder of tests."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every run and machine; a test that wants more or fewer says so.
settings.register_profile(
    "evenkeel", deadline=None, derandomize=True, database=None, max_examples=40
)
settings.load_profile("evenkeel")

# What a shell starts in the background ignores Ctrl-C, and so would the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ``shared`` beside the checkout: real data and recorded values, where present."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not folder.is_dir() and os.environ.get("EVENKEEL_REQUIRE_SHARED"):
        pytest.fail(
            "EVENKEEL_REQUIRE_SHARED is set and there is no folder `shared` beside the checkout"
        )
    if not folder.is_dir():
        pytest.skip("there is no folder `shared` beside the checkout")
    return folder
