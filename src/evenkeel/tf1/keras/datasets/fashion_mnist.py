"""``tf.keras.datasets.fashion_mnist``."""

import os
from pathlib import Path

from evenkeel.tf1.datasets.files import read_parts
from evenkeel.tf1.keras.datasets.mnist import Pair


def load_data() -> tuple[Pair, Pair]:
    """Fashion-MNIST as Keras gives it: training images and labels, test images and labels.

    Shapes:  ([60000, 28, 28], [60000]), ([10000, 28, 28], [10000])
    Dtypes:  uint8
    Raises:  BadData for damaged files; DownloadFailed where there are none
    Source:  the idx files in ~/.keras/datasets/fashion-mnist (where Keras keeps them),
             $EVENKEEL_DATA or the cache
    """
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "datasets"
    parts = read_parts("fashion-mnist", home / "fashion-mnist")
    return (parts[0], parts[1]), (parts[2], parts[3])
