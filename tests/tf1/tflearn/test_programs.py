"""TFLearn's own test suite, the programs of the seed documents, and what is not in the dialect."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]  # conftest's
# The tests are as published; the seeds keep those that train from failing now and then, as they do
# under TensorFlow too.
SUITE = """
import random
import unittest

import numpy as np
import tensorflow.compat.v1 as tf

make = tf.Graph.__init__


def seeded(graph):
    make(graph)
    graph.seed = 4


tf.Graph.__init__ = seeded
np.random.seed(4)
random.seed(4)
unittest.main(module=None, argv=["suite", "discover", "-s", "tests", "-t", ".", "-p", "test_*.py"])
"""
SEEDED = """
import numpy
import tensorflow.compat.v1

numpy.random.seed(1)
tensorflow.compat.v1.set_random_seed(1)
"""


@pytest.mark.slow
def test_tflearns_own_tests_pass(run: Run, source: Path) -> None:
    done = run(SUITE, folder=source)
    assert "Ran 20 tests" in done.stderr, done.stderr[-2000:]
    assert done.stderr.rstrip().endswith("OK"), done.stderr[-2000:]


def expected(shared: Path, program: str) -> tuple[str, dict[str, Any]]:
    table = json.loads((shared / "programs" / "expected.json").read_text())
    return (shared / "programs" / f"{program}.py").read_text(), table[program]


def test_a_constant_batch(run: Run, shared: Path) -> None:
    text, told = expected(shared, "tflearn_constant_batch")
    assert run(text).stdout.splitlines() == told["lines"]


@pytest.mark.slow
def test_local_response_normalization_learns(run: Run, shared: Path, tmp_path: Path) -> None:
    text, told = expected(shared, "tflearn_lrn")
    (tmp_path / "MNIST_data").symlink_to(shared / "data" / "mnist")
    done = run(SEEDED + text)
    found = re.search(r"eval \[([\d.]+)\]", done.stdout)
    assert found is not None, done.stderr[-2000:]
    assert float(found[1]) >= told["at_least"]["eval"]


@pytest.mark.parametrize("name", ["RandomForestClassifier", "KMeans"])
def test_forests_and_k_means_say_what_to_use(run: Run, name: str) -> None:
    done = run(f"import tflearn\nfrom tflearn.estimators import {name}\n")
    assert done.returncode == 1
    assert done.stderr.splitlines()[:3] == [
        "Traceback (most recent call last):",
        '  File "train.py", line 2, in <module>',
        f"    from tflearn.estimators import {name}",
    ]
    assert "tf.contrib.tensor_forest is not in this dialect" in done.stderr
    assert "instead: scikit-learn's RandomForestClassifier" in done.stderr


MNIST = """
import tflearn.datasets.mnist as mnist

X, Y, testX, testY = mnist.load_data(data_dir="MNIST_data/", one_hot=True)
print(X.shape, Y.shape, testX.shape, testY.shape, Y[0].argmax(), round(float(X.mean()), 4))
"""


def test_its_mnist_reader_takes_the_files_that_are_there(
    run: Run, shared: Path, tmp_path: Path
) -> None:
    (tmp_path / "MNIST_data").symlink_to(shared / "data" / "mnist")
    shapes = "(55000, 784) (55000, 10) (10000, 784) (10000, 10)"
    assert run(MNIST).stdout.splitlines()[-1] == f"{shapes} 7 0.1307"


NAMES = """
import numpy as np
import tflearn
from PIL import Image

batch = [np.arange(16.0).reshape(4, 4, 1)]
ways = tflearn.ImageAugmentation()
ways.add_random_crop([4, 4], padding=1)
ways.add_random_rotation(20.0)
ways.add_random_blur(1.0)
print(ways.apply(batch)[0].shape)
print(tflearn.data_utils.resize_image(Image.new("L", (8, 8)), 4, 4).size)
print(hasattr(Image, "ANTIALIAS"), hasattr(np.lib, "pad"))
"""


def test_names_that_libraries_dropped_are_tflearns_alone(run: Run) -> None:
    done = run(NAMES)
    assert done.stdout.splitlines() == ["(4, 4, 1)", "(4, 4)", "False False"], done.stderr
