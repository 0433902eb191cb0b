"""conv20 against the network that TensorFlow trained: variables, outputs, loss."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evenkeel.nn import BatchNorm
from evenkeel.recipes import CONV20, Variant

Array = NDArray[np.float32]
Reader = Callable[[str], dict[str, Array]]


def filled(held: dict[str, Array]) -> nn.Module:
    """The recipe's network with TensorFlow's variables, matched by order of creation."""
    network = CONV20.build(Variant())
    names = {"conv2d": nn.Conv2d, "batch_normalization": BatchNorm, "dense": nn.Linear}
    for scope, kind in names.items():
        for number, layer in enumerate(m for m in network.modules() if isinstance(m, kind)):
            place = f"{scope}_{number}" if number else scope
            layer.load_state_dict({k: torch.tensor(v) for k, v in state_of(held, place).items()})
    return network.eval()


def state_of(held: dict[str, Array], place: str) -> dict[str, Any]:
    words = {
        "kernel": "weight",
        "gamma": "weight",
        "beta": "bias",
        "bias": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    mine = {k.removeprefix(place + "/"): v for k, v in held.items() if k.startswith(place + "/")}
    state: dict[str, Any] = {words[k]: v for k, v in mine.items() if k in words}
    if state["weight"].ndim > 1:
        state["weight"] = np.moveaxis(state["weight"], (-1, -2), (0, 1)).copy()
    if "running_mean" in state:
        state["num_batches_tracked"] = 800
    return state


def first_images(shared: Path, count: int) -> Tensor:
    raw = gzip.decompress((shared / "data" / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    pixels = np.frombuffer(raw, np.uint8, offset=16)[: count * 784].reshape(count, 1, 28, 28)
    return torch.from_numpy(pixels / np.float32(255))


def test_variables_are_tensorflows(checkpoint: Reader) -> None:
    held = checkpoint("conv20_layers/model.ckpt-800")
    theirs = [v.shape for k, v in held.items() if "Adam" not in k and "power" not in k]
    ours = [
        tuple(np.moveaxis(v.numpy(), (0, 1), (-1, -2)).shape) if v.ndim > 1 else tuple(v.shape)
        for k, v in CONV20.build(Variant()).state_dict().items()
        if "num_batches" not in k
    ]
    assert sorted(ours) == sorted(theirs)


def test_outputs_are_tensorflows(shared: Path, checkpoint: Reader) -> None:
    network = filled(checkpoint("conv20_layers/model.ckpt-800"))
    with np.load(shared / "oracle" / "artefacts" / "conv20_layers" / "expected.npz") as held:
        expected = torch.from_numpy(held["logits"])
    images = first_images(shared, 64)
    with torch.no_grad():
        error = (network(images) - expected).abs().max() / expected.abs().max()
        assert float(error) < 1e-5
        pad = network.get_submodule("pad3")
        assert isinstance(pad, nn.ZeroPad2d)
        pad.padding = (1, 0, 1, 0)
        wrong = (network(images) - expected).abs().max() / expected.abs().max()
    assert float(wrong) > 1e-2


def test_loss_is_tensorflows(oracle: Callable[[str], Array]) -> None:
    logits = torch.from_numpy(oracle("losses/logits"))
    labels = torch.from_numpy(oracle("losses/labels"))
    expected = float(oracle("losses/sigmoid_ce").astype(np.float64).mean())
    assert float(CONV20.loss(logits, labels)) == pytest.approx(expected, rel=1e-6)


def test_shape() -> None:
    network = CONV20.build(Variant())
    kernels = 9 * 4 + 9 * 16 * sum(i * (i - 1) for i in range(2, 20)) + 76 * 100 + 100 * 10
    vectors = 2 * 4 * sum(range(1, 20)) + 2 * 100 + 10
    assert sum(p.numel() for p in network.parameters()) == kernels + vectors
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convs] == [4 * i for i in range(1, 20)]
    assert [c.stride[0] for c in convs] == [1, 1, 2] * 6 + [1]
