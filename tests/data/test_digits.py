"""The embedded digits: all of scikit-learn's, once each, enlarged as bilinear interpolation says."""

import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as bundled
from torch import Tensor

from evenkeel.data import Dataset
from evenkeel.data.digits import load_digits
from evenkeel.errors import MissingExtra

TEST_LABELS = [8, 8, 2, 2, 2, 9, 8, 8, 3, 6, 0, 4]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_digits()


def together(digits: Dataset) -> tuple[Tensor, Tensor]:
    splits = digits.train, digits.valid, digits.test
    return torch.cat([s.images for s in splits]), torch.cat([s.labels for s in splits])


def bilinear(small: int, large: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The definition: pixel centres at (i + 1/2) / size, weights by distance, edges repeated."""
    weights = np.zeros((large, small))
    for i in range(large):
        place = min(max((i + 0.5) * small / large - 0.5, 0.0), small - 1.0)
        for j in range(small):
            weights[i, j] = max(0.0, 1.0 - abs(place - j))
    return weights


def test_shapes_dtypes_and_range(digits: Dataset) -> None:
    images, labels = together(digits)
    assert images.shape == (1797, 1, 28, 28)
    assert (len(digits.train), len(digits.valid), len(digits.test)) == (1297, 200, 300)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert (float(images.min()), float(images.max())) == (0.0, 1.0)
    assert images[:, :, :4].count_nonzero() == images[..., -4:].count_nonzero() == 0


def test_each_real_digit_is_there_once_with_its_label(digits: Dataset) -> None:
    images, labels = together(digits)
    pixels, expected = bundled(return_X_y=True)
    weights = bilinear(8, 20)
    enlarged = np.einsum("ia,nab,jb->nij", weights, pixels.reshape(-1, 8, 8) / 16, weights)
    middle = images[:, 0, 4:24, 4:24].double().flatten(1)
    distances = torch.cdist(middle, torch.from_numpy(enlarged).flatten(1))
    nearest, place = distances.min(1)
    assert nearest.max() < 1e-5
    assert sorted(place.tolist()) == list(range(1797))
    assert torch.equal(labels, torch.from_numpy(expected)[place])


def test_every_split_holds_every_digit_and_its_order_is_mixed(digits: Dataset) -> None:
    for split in (digits.train, digits.valid, digits.test):
        assert split.labels.bincount(minlength=10).min() >= 10
    assert digits.test.labels[:10].tolist() != sorted(digits.test.labels[:10].tolist())


def test_the_split_is_always_the_same(digits: Dataset) -> None:
    np.random.seed(1)
    again = load_digits()
    assert torch.equal(again.test.images, digits.test.images)
    # Recorded figures compare only while the test set stays this one.
    assert digits.test.labels[:12].tolist() == TEST_LABELS


def test_without_scikit_learn_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra) as caught:
        load_digits()
    assert 'pip install "evenkeel[train]"' in caught.value.do
