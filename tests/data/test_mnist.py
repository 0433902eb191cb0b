"""Folders with MNIST's names: every spelling, every fault named, and the real files."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evenkeel.data import read_idx, write_idx
from evenkeel.data.mnist import load_folder
from evenkeel.errors import BadData

Writer = Callable[..., Path]


def refused(folder: Path) -> BadData:
    with pytest.raises(BadData) as caught:
        load_folder(folder)
    assert str(folder) in caught.value.at
    return caught.value


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dot", ["-", "."])
def test_every_spelling_is_found(write_mnist: Writer, suffix: str, dot: str) -> None:
    folder = write_mnist(suffix=suffix, dot=dot)
    data = load_folder(folder)
    assert (data.name, data.source) == (folder.name, str(folder))
    assert (len(data.train), len(data.valid), len(data.test)) == (22, 2, 6)
    stored = read_idx(folder / f"train-images{dot}idx3-ubyte{suffix}")
    images = torch.cat([data.valid.images, data.train.images])
    np.testing.assert_allclose(images.numpy()[:, 0] * 255, stored, atol=1e-4)
    assert torch.cat([data.valid.labels, data.train.labels]).tolist() == [
        place % 10 for place in range(24)
    ]


def test_the_plain_file_wins_over_the_packed_one(write_mnist: Writer) -> None:
    folder = write_mnist(12)
    write_mnist(24, suffix=".gz")
    assert len(load_folder(folder).train) == 11


def test_validation_takes_5000_at_most(write_mnist: Writer, tmp_path: Path) -> None:
    write_mnist()
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((60012, 28, 28), np.uint8))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(60012, np.uint8))
    assert len(load_folder(tmp_path).valid) == 5000


def test_missing_files_are_named_and_so_is_what_is_there(write_mnist: Writer) -> None:
    folder = write_mnist()
    (folder / "t10k-labels-idx1-ubyte").rename(folder / "labels")
    error = refused(folder)
    assert "missing t10k-labels-idx1-ubyte; the folder holds labels, t10k-images" in str(error)


def test_a_folder_in_the_place_of_a_file_is_not_taken_for_it(write_mnist: Writer) -> None:
    folder = write_mnist(suffix=".gz")
    (folder / "train-images-idx3-ubyte").mkdir()
    assert len(load_folder(folder).train) == 22


def test_the_folder_inside_is_suggested(write_mnist: Writer, tmp_path: Path) -> None:
    folder = write_mnist()
    inner = folder / "raw"
    inner.mkdir()
    for path in list(folder.glob("*ubyte")):
        path.rename(inner / path.name)
    assert str(inner) in refused(folder).do


def test_an_empty_and_a_missing_folder(tmp_path: Path) -> None:
    assert "the folder holds nothing" in str(refused(tmp_path))
    assert "No such file" in str(refused(tmp_path / "none"))


def test_a_cut_file_is_named(write_mnist: Writer) -> None:
    path = write_mnist(suffix=".gz") / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(path.parent).at == str(path)


def test_swapped_files_are_recognised(write_mnist: Writer) -> None:
    folder = write_mnist()
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    images.rename(folder / "other")
    labels.rename(images)
    (folder / "other").rename(labels)
    assert "labels file" in refused(folder).do


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((24, 32, 32), np.uint8),
        np.zeros((24, 28, 28), np.float32),
        np.zeros((24, 784), "u1"),
    ],
)
def test_images_of_another_form_are_refused(write_mnist: Writer, values: NDArray[Any]) -> None:
    folder = write_mnist()
    write_idx(folder / "train-images-idx3-ubyte", values)
    error = refused(folder)
    assert "[train, 28, 28]" in error.problem
    assert str(list(values.shape)) in str(error)


def test_a_label_above_nine_is_refused(write_mnist: Writer) -> None:
    folder = write_mnist()
    labels = np.arange(6, dtype=np.uint8) + 6
    write_idx(folder / "t10k-labels-idx1-ubyte", labels)
    assert "2 others, the first is 10 at place 4" in str(refused(folder))


@pytest.mark.parametrize("split", ["train", "t10k"])
def test_counts_must_agree(write_mnist: Writer, split: str) -> None:
    folder = write_mnist()
    write_idx(folder / f"{split}-labels-idx1-ubyte", np.zeros(23, np.uint8))
    assert "23 labels" in str(refused(folder))


def test_too_few_to_split_are_refused(write_mnist: Writer) -> None:
    assert "11 images" in str(refused(write_mnist(11)))


def test_the_real_files(real_mnist: Path) -> None:
    data = load_folder(real_mnist)
    assert (len(data.train), len(data.valid), len(data.test)) == (55000, 5000, 10000)
    with gzip.open(real_mnist / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(60000, 1, 28, 28)
    for split, at in ((data.valid, 0), (data.train, 5000)):
        bright = (split.images[:50] * 255).round().byte().numpy()
        np.testing.assert_array_equal(bright, pixels[at : at + 50])
    # The first ten labels of MNIST's training set, of its test set, and how often each is there.
    assert data.valid.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert data.test.labels.bincount().tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    assert abs(float(data.train.images.mean()) - 0.1307) < 1e-3
