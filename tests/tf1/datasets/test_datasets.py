"""MNIST as TensorFlow's tutorials read it: TensorFlow's own batches, and the places of its files."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenkeel.data import write_idx
from evenkeel.errors import BadData, DownloadFailed
from evenkeel.tf1 import stacks
from evenkeel.tf1.datasets import DataSet, files, mnist
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.keras import datasets as keras

RECORDED = json.loads(
    (Path(__file__).parents[2] / "recorded" / "datasets" / "batches.json").read_text()
)
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "one_hot": {"one_hot": True},
    "images": {"reshape": False},
    "seeded": {"seed": 5},
    "bytes": {"dtype": "uint8", "validation_size": 59000},
}
CALLS = [
    [(4, True)] * 6,
    [(4, False), (4, True), (5, True), (10, True), (3, False), (8, False), (2, True)],
    [(0, True), (11, True), (25, True), (3, True)],
]
X, Y = np.arange(40, dtype=np.uint8).reshape(10, 2, 2, 1), np.arange(10)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data anywhere but where a test puts them; no network."""
    for name in ("EVENKEEL_CACHE", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("EVENKEEL_DATA", raising=False)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(files, "fetch", refuse)


def refuse(*_: object) -> None:
    raise DownloadFailed("no network", got="a test", do="nothing")


def put(folder: Path, train: int = 24, test: int = 6) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", train), ("t10k", test)):
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", np.full((count, 3, 2), count, np.uint8))
        write_idx(folder / f"{split}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))
    return folder


def batch(split: Any, size: int, shuffle: bool) -> list[Any]:
    x, y = split.next_batch(size, shuffle=shuffle)
    classes = (y if y.ndim == 1 else y.argmax(1))[:9].tolist()
    about = [list(x.shape), str(x.dtype), list(y.shape), str(y.dtype)]
    return [*about, zlib.crc32(x.tobytes()), classes, split.epochs_completed]


@pytest.mark.parametrize("name", OPTIONS)
def test_mnist_gives_tensorflows_batches(shared: Path, name: str) -> None:
    with Graph().as_default():
        data = mnist.read_data_sets(str(shared / "data" / "mnist"), **OPTIONS[name])
    if name != "seeded":
        np.random.seed(42)
    sizes = [700, 700, 1000, 700] if name == "bytes" else [100, 900, 54000, 300, 7]
    found = [batch(data.train, n, True) for n in sizes]
    found += [batch(data.validation, n, False) for n in (64, 4000, 2000)]
    found += [batch(data.test, 1000, True)]
    assert [*found, float(np.random.random_sample())] == RECORDED[name]


@pytest.mark.parametrize("seed", [0, 7, None])
@pytest.mark.parametrize("number", range(len(CALLS)))
def test_batches_across_epochs(seed: int | None, number: int) -> None:
    with Graph().as_default():
        if seed is None:
            stacks.get_default_graph().seed = 9
        data = DataSet(X, Y, seed=seed)
        found = [data.next_batch(n, shuffle=s)[1].tolist() for n, s in CALLS[number]]
        rest = [data.epochs_completed, data.labels.tolist(), data.images[:, 0].tolist()]
    assert [found, *rest] == RECORDED[f"small {seed} {number}"]


def test_images_and_labels_go_together_also_after_a_look_at_all_of_them() -> None:
    data = DataSet(X, Y, dtype="uint8", seed=1)
    for _ in range(7):
        images, labels = data.next_batch(4)
        assert (images[:, 0] == 4 * labels).all()
        assert (data.images[:, 0] == 4 * data.labels).all()


def test_fake_data_need_no_files() -> None:
    data = mnist.read_data_sets("nowhere", fake_data=True, one_hot=True)
    images, labels = data.train.next_batch(2, fake_data=True)
    assert images == [[1] * 784] * 2
    assert labels == [[1] + [0] * 9] * 2
    assert (data.train.num_examples, data.train.images) == (10000, [])


@pytest.mark.parametrize("size", [-1, 25])
def test_a_validation_split_outside_of_the_images(tmp_path: Path, size: int) -> None:
    message = f"Validation size should be between 0 and 24. Received: {size}."
    with pytest.raises(ValueError, match=message):
        mnist.read_data_sets(str(put(tmp_path / "a")), validation_size=size)


def test_what_cannot_be_a_data_set() -> None:
    with pytest.raises(
        TypeError, match=r"Invalid image dtype tf.float64, expected uint8 or float32"
    ):
        DataSet(X, Y, dtype="float64")
    with pytest.raises(AssertionError, match=r"images.shape: \(10, 2, 2, 1\) labels.shape: \(3,\)"):
        DataSet(X, Y[:3])
    with pytest.raises(AssertionError, match="one channel"):
        DataSet(X.repeat(2, -1), Y)


@pytest.mark.parametrize(
    ("place", "variable"),
    [
        ("given", ""),
        ("data", "data"),
        ("data/mnist", "data"),
        ("EVENKEEL_CACHE/mnist", ""),
    ],
)
def test_every_place_where_files_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, variable: str
) -> None:
    put(tmp_path / place)
    if variable:
        monkeypatch.setenv("EVENKEEL_DATA", str(tmp_path / variable))
    data = mnist.read_data_sets(str(tmp_path / "given"), validation_size=4)
    assert [split.num_examples for split in data] == [20, 4, 6]
    assert data.test.images.shape == (6, 6)
    np.testing.assert_array_equal(data.test.images, np.float32(6) * np.float32(1 / 255))


def test_the_folder_given_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENKEEL_DATA", str(put(tmp_path / "set", train=30)))
    given = put(tmp_path / "given")
    assert mnist.read_data_sets(str(given), validation_size=0).train.num_examples == 24


def test_no_files_and_no_network(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="nothing; or set EVENKEEL_DATA"):
        mnist.read_data_sets(str(tmp_path))


def test_a_download_goes_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(remote: Any, folder: Path) -> None:
        asked.append((remote.name, folder))
        put(folder)

    monkeypatch.setattr(files, "fetch", fetch)
    url = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    mnist.read_data_sets("MNIST_data", source_url=url, validation_size=0)
    assert asked == [("fashion-mnist", tmp_path / "EVENKEEL_CACHE" / "fashion-mnist")]
    assert keras.fashion_mnist.load_data()[1][0].shape == (6, 3, 2)
    assert len(asked) == 1


def test_a_file_under_the_wrong_name(tmp_path: Path) -> None:
    folder = put(tmp_path / "a")
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros((3, 3), np.uint8))
    with pytest.raises(BadData, match="labels must be uint8 of rank 1"):
        mnist.read_data_sets(str(folder))


def test_keras_reads_its_archive_or_the_idx_files(tmp_path: Path) -> None:
    put(Path("MNIST_data"))
    (images, labels), (test_images, _) = keras.mnist.load_data()
    assert (images.shape, labels.shape, test_images.shape) == ((24, 3, 2), (24,), (6, 3, 2))
    archive = tmp_path / "KERAS_HOME" / "datasets" / "mnist.npz"
    archive.parent.mkdir(parents=True)
    parts: dict[str, Any] = {
        "x_train": np.ones((5, 2, 2)),
        "y_train": np.arange(5),
        "x_test": X,
        "y_test": Y,
    }
    np.savez(archive, **parts)
    assert keras.mnist.load_data()[0][0].shape == (5, 2, 2)
    assert keras.mnist.load_data(str(archive))[1][1].tolist() == Y.tolist()


@pytest.mark.parametrize("content", [b"PK nonsense", b""])
def test_a_damaged_archive(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "mnist.npz"
    archive.write_bytes(content)
    with pytest.raises(BadData, match=r"not Keras's mnist\.npz"):
        keras.mnist.load_data(str(archive))


def test_an_archive_of_objects_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "mnist.npz"
    parts: dict[str, Any] = dict.fromkeys(("x_train", "y_train", "x_test", "y_test"), Y.astype("O"))
    np.savez(archive, **parts)
    with pytest.raises(BadData, match="allow_pickle=False"):
        keras.mnist.load_data(str(archive))
