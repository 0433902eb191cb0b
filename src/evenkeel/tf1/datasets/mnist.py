"""``tensorflow.examples.tutorials.mnist.input_data``: MNIST in three splits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenkeel.tf1 import dtypes
from evenkeel.tf1.datasets.dataset import DataSet, Datasets
from evenkeel.tf1.datasets.files import read_parts

__all__ = ["DataSet", "Datasets", "dense_to_one_hot", "load_mnist", "read_data_sets"]

CLASSES = 10
DEFAULT_SOURCE_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"


def read_data_sets(
    train_dir: str,
    fake_data: bool = False,
    one_hot: bool = False,
    dtype: Any = dtypes.float32,
    reshape: bool = True,
    validation_size: int = 5000,
    seed: int | None = None,
    source_url: str = DEFAULT_SOURCE_URL,
) -> Datasets:
    """MNIST as the tutorials read it: the first 5,000 training images are the validation split.

    Shapes:  images [N, 784], or [N, 28, 28, 1] without ``reshape``; labels [N], or [N, 10] with
             ``one_hot``
    Dtypes:  images float32 in [0, 1], or uint8; labels uint8, or float64 with ``one_hot``
    Raises:  ValueError for a validation split outside the training images; BadData, DownloadFailed
    Source:  TensorFlow 1.15.5: the same batches from the same seeds

    The files come from ``train_dir``, $EVENKEEL_DATA or the cache; what is in none of them is
    downloaded into the cache: Fashion-MNIST if the word is in ``source_url``, else MNIST.

    >>> read_data_sets("nowhere", fake_data=True).train.num_examples
    10000
    """
    options: dict[str, Any] = {"dtype": dtype, "reshape": reshape, "seed": seed}
    if fake_data:
        fake = (
            DataSet([], [], fake_data=True, one_hot=one_hot, dtype=dtype, seed=seed) for _ in "123"
        )
        return Datasets(*fake)
    name = "fashion-mnist" if source_url and "fashion" in source_url else "mnist"
    images, labels, test_images, test_labels = read_parts(name, train_dir)
    if one_hot:
        labels, test_labels = (dense_to_one_hot(part, CLASSES) for part in (labels, test_labels))
    if not 0 <= validation_size <= len(images):
        raise ValueError(
            f"Validation size should be between 0 and {len(images)}. Received: {validation_size}."
        )
    first = validation_size
    train = DataSet(images[first:, ..., None], labels[first:], **options)
    validation = DataSet(images[:first, ..., None], labels[:first], **options)
    return Datasets(train, validation, DataSet(test_images[..., None], test_labels, **options))


def load_mnist(train_dir: str = "MNIST-data") -> Datasets:
    """MNIST with the defaults."""
    return read_data_sets(train_dir)


def dense_to_one_hot(labels_dense: NDArray[Any], num_classes: int) -> NDArray[Any]:
    """Labels [N] as rows [N, classes] with a single 1.

    >>> dense_to_one_hot(np.array([1, 0]), 3).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    rows = np.zeros((len(labels_dense), num_classes))
    rows[np.arange(len(labels_dense)), labels_dense] = 1
    return rows
