"""``DataSet``: images and labels with ``next_batch``, in the very order that TensorFlow's gives."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evenkeel.tf1 import dtypes
from evenkeel.tf1.api.framework import get_seed

Array = NDArray[Any]  # float32 or uint8 images; labels of whatever dtype they came in
FAKE = 10000


class Datasets(NamedTuple):
    """Three splits."""

    train: Any
    validation: Any
    test: Any


class DataSet:
    """Images and labels in an order that is shuffled anew for each epoch.

    Math:    an epoch's order is the last one's, permuted by numpy's global generator; a batch that an
             epoch's end cuts goes on with the next epoch's first images. The generator is seeded when
             the data set is made: with ``seed``, else with the default graph's seed, else by chance
    Shapes:  images [N, rows, columns, 1], kept as [N, rows·columns] with ``reshape``; labels [N] or
             [N, classes]
    Dtypes:  images uint8 in; float32 in [0, 1] out with ``dtype`` float32, uint8 with uint8
    Raises:  TypeError for another dtype; AssertionError, as TensorFlow, for counts that differ, or
             images of more than one channel that are to be reshaped
    Source:  tensorflow.contrib.learn.python.learn.datasets.mnist.DataSet of TensorFlow 1.15.5

    >>> data = DataSet(np.zeros((4, 2, 2, 1), np.uint8), np.arange(4), seed=0)
    >>> data.next_batch(3)[1].tolist(), data.images.shape
    ([2, 3, 1], (4, 4))
    """

    def __init__(
        self,
        images: Any,
        labels: Any,
        fake_data: bool = False,
        one_hot: bool = False,
        dtype: Any = dtypes.float32,
        reshape: bool = True,
        seed: int | None = None,
    ) -> None:
        graph_seed, op_seed = get_seed(seed)
        np.random.seed(graph_seed if seed is None else op_seed)
        dtype = dtypes.as_dtype(dtype).base_dtype
        if dtype not in (dtypes.uint8, dtypes.float32):
            raise TypeError(f"Invalid image dtype {dtype!r}, expected uint8 or float32")
        if fake_data:
            self._num_examples, self.one_hot = FAKE, one_hot
        else:
            _check(images, labels, reshape)
            self._num_examples = images.shape[0]
            if reshape:
                images = images.reshape(len(images), images.shape[1] * images.shape[2])
            images = _scaled(images) if dtype == dtypes.float32 else images
        self._images, self._labels = images, labels
        # The order of images and labels now, where they were not brought into it yet: an epoch costs
        # a permutation instead of a copy of everything.
        self._order: Array | None = None
        self._epochs_completed = self._index_in_epoch = 0

    @property
    def images(self) -> Any:
        """All images, in the present order."""
        self._bring_into_order()
        return self._images

    @property
    def labels(self) -> Any:
        """All labels, in the present order."""
        self._bring_into_order()
        return self._labels

    @property
    def num_examples(self) -> int:
        """How many images there are."""
        return self._num_examples

    @property
    def epochs_completed(self) -> int:
        """How many times all images were given."""
        return self._epochs_completed

    def next_batch(self, batch_size: int, fake_data: bool = False, shuffle: bool = True) -> Any:
        """The next ``batch_size`` images and labels."""
        if fake_data:
            return self._fake_batch(batch_size)
        first, end = self._index_in_epoch, self._index_in_epoch + batch_size
        if shuffle and not first and not self._epochs_completed:
            self._shuffle()
        if end <= self._num_examples:
            self._index_in_epoch = end
            return self._between(first, end)
        end -= self._num_examples
        rest = self._between(first, self._num_examples)
        self._epochs_completed += 1
        if shuffle:
            self._shuffle()
        self._index_in_epoch = end
        return tuple(map(np.concatenate, zip(rest, self._between(0, end), strict=True)))

    def _between(self, first: int, end: int) -> tuple[Array, Array]:
        place = slice(first, end) if self._order is None else self._order[first:end]
        return self._images[place], self._labels[place]

    def _shuffle(self) -> None:
        order = np.arange(self._num_examples)
        np.random.shuffle(order)
        self._order = order if self._order is None else self._order[order]

    def _bring_into_order(self) -> None:
        if self._order is not None:
            self._images, self._labels = self._between(0, self._num_examples)
            self._order = None

    def _fake_batch(self, size: int) -> tuple[list[Any], list[Any]]:
        label: Any = [1] + [0] * 9 if self.one_hot else 0
        return [[1] * 784 for _ in range(size)], [label for _ in range(size)]


def _check(images: Any, labels: Any, reshape: bool) -> None:
    if images.shape[0] != labels.shape[0]:
        raise AssertionError(f"images.shape: {images.shape} labels.shape: {labels.shape}")
    if reshape and images.shape[3] != 1:
        raise AssertionError(f"images of one channel can be reshaped; these are {images.shape}")


def _scaled(images: Array) -> Array:
    values: Array = images.astype(np.float32)
    values *= np.float32(1.0 / 255.0)
    return values
