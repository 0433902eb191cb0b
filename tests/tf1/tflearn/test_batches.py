"""TFLearn's data flow keeps each sample with its own target, however slowly a batch is read."""

from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]  # conftest's
# The reader waits between inputs and targets, so the thread that shuffles gets its turn.
FLOW = """
import time

import numpy as np
import tensorflow.compat.v1 as tf
from tflearn.data_flow import FeedDictFlow


class Slow(list):
    def __getitem__(self, at):
        found = np.asarray(list(self))[at]
        time.sleep(0.002)
        return found


feed = {"inputs": Slow(range(4)), "targets": Slow(range(4))}
flow = FeedDictFlow(feed, tf.train.Coordinator(), 4, 1, shuffle=True, continuous=True)
EXTRA
flow.start()
batches = [flow.next() for _ in range(100)]
flow.interrupt()
print(sum((batch["inputs"] != batch["targets"]).any() for batch in batches), "torn")
print(len({tuple(batch["inputs"]) for batch in batches}) > 1)
"""
# The methods as they were published, which the run's lock wraps.
PUBLISHED = "flow.retrieve_data = FeedDictFlow.retrieve_data.__wrapped__.__get__(flow)"


def test_a_sample_keeps_its_target(run: Run) -> None:
    done = run(FLOW.replace("EXTRA", ""))
    assert done.stdout.splitlines() == ["0 torn", "True"], done.stderr


def test_without_the_lock_batches_are_torn(run: Run) -> None:
    done = run(FLOW.replace("EXTRA", PUBLISHED))
    assert done.stdout.splitlines()[0] != "0 torn", done.stderr
