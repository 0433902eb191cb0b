from pathlib import Path

import pytest
import safetensors.torch
import torch

from evenkeel.errors import BadRun
from evenkeel.recipes import RECIPES
from evenkeel.train.config import RunConfig
from evenkeel.train.weights import load_network, save_weights

CONFIG = RunConfig(
    recipe="dnn-elu",
    batch_norm=True,
    placement="after",
    data=None,
    steps=10,
    batch_size=32,
    lr=0.01,
    seed=0,
    threads=1,
    device="cpu",
    compare=False,
    tensorboard=False,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    network = RECIPES["dnn-elu"].build(CONFIG.variant())
    network(torch.rand(8, 1, 28, 28))
    save_weights(tmp_path / "model.safetensors", network, CONFIG)
    return tmp_path / "model.safetensors"


def test_network_and_variant_come_back(path: Path) -> None:
    torch.manual_seed(3)
    network = RECIPES["dnn-elu"].build(CONFIG.variant())
    network(torch.rand(8, 1, 28, 28))
    loaded = load_network(path)
    assert str(loaded) == str(network)
    found = loaded.state_dict()
    assert int(found["hidden1.2.num_batches_tracked"]) == 1
    for name, value in network.state_dict().items():
        assert torch.equal(found[name], value), name


def test_equal_weights_are_equal_files(path: Path, tmp_path: Path) -> None:
    for number in range(5):
        again = tmp_path / f"{number}.safetensors"
        save_weights(again, load_network(path), CONFIG)
        assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BadRun, match="cannot be read") as caught:
        load_network(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRun, match="cannot be read"):
        load_network(tmp_path / "model.safetensors")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_someone_elses_weights_are_refused(path: Path, metadata: dict[str, str] | None) -> None:
    safetensors.torch.save_file({"w": torch.zeros(3)}, path, metadata)
    with pytest.raises(BadRun, match="not written by evenkeel"):
        load_network(path)


@pytest.mark.parametrize(
    ("ours", "theirs", "word"),
    [
        (b'"dnn-elu"', b'"dnn-elv"', "no recipe is called 'dnn-elv'"),
        (b'"dnn-elu"', b'"conv20" ', "do not fit the recipe's network"),
        (b'"after"', b'"aftar"', "before or after"),
        (b'"batch_norm": true', b'"batch_norm": null', "batch_norm must be bool"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(
    path: Path, ours: bytes, theirs: bytes, word: str
) -> None:
    whole = path.read_bytes()
    old, new = (part.replace(b'"', b'\\"') for part in (ours, theirs))
    assert whole.count(old) == 1
    path.write_bytes(whole.replace(old, new))
    with pytest.raises(BadRun, match=word):
        load_network(path)
