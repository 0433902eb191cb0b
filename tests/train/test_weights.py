import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import safe_open

from evenkeel.errors import BadRun
from evenkeel.recipes import RECIPES
from evenkeel.train.plain import from_json, to_json
from evenkeel.train.weights import Origin, load_network, save_weights
from train.configs import SHORT

CONFIG = replace(SHORT, placement="after")


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
    ("change", "word"),
    [
        ({"recipe": "dnn-elv"}, "no recipe is called 'dnn-elv'"),
        ({"recipe": "conv20"}, "do not fit the recipe's network"),
        ({"placement": "aftar"}, "before or after"),
        ({"batch_norm": None}, "batch_norm must be bool"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(
    path: Path, change: dict[str, Any], word: str
) -> None:
    tensors = safetensors.torch.load_file(path)
    with safe_open(path, framework="pt") as file:
        origin = from_json(Origin, file.metadata()["evenkeel"])
    signed = replace(origin, **change).signed(tensors)
    safetensors.torch.save_file(tensors, path, {"evenkeel": to_json(signed)})
    with pytest.raises(BadRun, match=word) as caught:
        load_network(path)
    assert str(path) in str(caught.value)


def test_a_flipped_bit_is_seen_wherever_it_is(path: Path) -> None:
    """Every fifth byte of the header, 300 of the content: refused, or nothing was changed by it."""
    whole, expected = path.read_bytes(), load_network(path).state_dict()
    header = 8 + int.from_bytes(whole[:8], "little")
    chosen = random.Random(0).sample(range(header, len(whole)), 300)
    refused = 0
    for place in [*range(0, header, 5), *chosen]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = load_network(path).state_dict()
        except BadRun:
            refused += 1
            continue
        assert place < header
        assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert refused >= 300 + 0.9 * header / 5


def test_float64_comes_back_as_float64(path: Path, tmp_path: Path) -> None:
    network = load_network(path).double()
    with torch.no_grad():
        next(network.parameters()).add_(1e-12)
    save_weights(tmp_path / "double", network, replace(CONFIG, dtype="float64"))
    found = load_network(tmp_path / "double").state_dict()
    for name, value in network.state_dict().items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value), name
