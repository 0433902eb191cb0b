"""dnn-elu against the network that TensorFlow trained: variables and its validation accuracy."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evenkeel.nn import BatchNorm
from evenkeel.recipes import DNN_ELU, Variant

Array = NDArray[np.float32]
NAME = "dnn_elu/mnist-batch-normalized-model.ckpt"


def filled(held: dict[str, Array]) -> nn.Module:
    network = DNN_ELU.build(Variant())
    for number, place in enumerate(("hidden1", "hidden2")):
        norm = f"batch_normalization_{number}" if number else "batch_normalization"
        layer = network.get_submodule(f"{place}.1")
        assert isinstance(layer, BatchNorm)
        state = {"weight": "gamma", "bias": "beta", "running_var": "moving_variance"}
        tensors = {ours: torch.tensor(held[f"{norm}/{theirs}"]) for ours, theirs in state.items()}
        # TensorFlow's layer has a bias that batch normalization subtracts again: not in the recipe
        mean = held[f"{norm}/moving_mean"] - held[f"{place}/bias"]
        tensors |= {"running_mean": torch.tensor(mean), "num_batches_tracked": torch.tensor(5500)}
        layer.load_state_dict(tensors)
        kernel = torch.tensor(held[f"{place}/kernel"].T.copy())
        network.get_submodule(f"{place}.0").load_state_dict({"weight": kernel})
    logits = {"weight": held["outputs/kernel"].T.copy(), "bias": held["outputs/bias"]}
    tensors = {k: torch.tensor(v) for k, v in logits.items()}
    network.get_submodule("logits").load_state_dict(tensors)
    return network.eval()


def test_validation_accuracy_is_tensorflows(
    shared: Path, checkpoint: Callable[[str], dict[str, Array]]
) -> None:
    folder = shared / "data" / "mnist"
    pixels = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    classes = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    images = np.frombuffer(pixels, np.uint8, offset=16)[: 5000 * 784].reshape(-1, 1, 28, 28)
    labels = torch.tensor(np.frombuffer(classes, np.uint8, offset=8)[:5000].astype(np.int64))
    network = filled(checkpoint(NAME))
    with torch.no_grad():
        right = network(torch.from_numpy(images / np.float32(255))).argmax(1) == labels
    # what the program printed after its last epoch; one image is 0.0002
    assert abs(float(right.double().mean()) - 0.961) <= 0.0002


def test_variables_are_tensorflows(checkpoint: Callable[[str], dict[str, Array]]) -> None:
    held = checkpoint(NAME)
    unused = {k for k in held if k.startswith("batch_normalization_2/")}
    assert len(unused) == 4
    left_out = unused | {"hidden1/bias", "hidden2/bias"}
    theirs = [v.shape[::-1] for k, v in held.items() if k not in left_out]
    state = DNN_ELU.build(Variant()).state_dict()
    ours = [tuple(v.shape) for k, v in state.items() if "num_batches" not in k]
    assert sorted(ours) == sorted(theirs)


def test_convention() -> None:
    norms = [m for m in DNN_ELU.build(Variant()).modules() if isinstance(m, BatchNorm)]
    assert [(m.momentum, m.spec.eps, m.spec.unbiased) for m in norms] == [(0.1, 1e-3, False)] * 2
