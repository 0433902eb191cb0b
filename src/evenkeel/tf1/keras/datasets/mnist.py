"""``tf.keras.datasets.mnist``."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evenkeel.errors import BadData
from evenkeel.files import refuse_bomb
from evenkeel.tf1.datasets.files import DATA, read_parts

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
KEYS = ("x_train", "y_train", "x_test", "y_test")


def load_data(path: str = "mnist.npz") -> tuple[Pair, Pair]:
    """MNIST as Keras gives it: training images and labels, test images and labels.

    Shapes:  ([60000, 28, 28], [60000]), ([10000, 28, 28], [10000])
    Dtypes:  uint8
    Raises:  BadData for damaged files; DownloadFailed where there are none
    Source:  Keras's mnist.npz, read where it is: as ``path`` itself or in ~/.keras/datasets; else the
             idx files in ``MNIST_data``, $EVENKEEL_DATA or the cache, which hold the same values
    """
    archive = next(filter(Path.is_file, _archives(path)), None)
    parts = _read_npz(archive) if archive else read_parts("mnist", "MNIST_data")
    return (parts[0], parts[1]), (parts[2], parts[3])


def _archives(path: str) -> list[Path]:
    given = [Path(path)] if Path(path).is_absolute() else []
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "datasets" / path
    data = [Path(os.environ[DATA]).expanduser() / path] if os.environ.get(DATA) else []
    return [*given, home, *data]


def _read_npz(path: Path) -> list[NDArray[np.uint8]]:
    refuse_bomb(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[key] for key in KEYS]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise BadData(
            "this is not Keras's mnist.npz, or it is damaged",
            got=str(error),
            do="delete the file and fetch it again",
            at=str(path),
        ) from error
