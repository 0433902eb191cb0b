"""Batches of a file of arrays: NumPy's .npz, or safetensors."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evenkeel.errors import BadData
from evenkeel.files import refuse_bomb

SUFFIXES = (".npz", ".safetensors")
INPUTS = ("inputs", "input", "images", "x", "data", "pixel_values", "x_train")
LABELS = ("labels", "label", "targets", "target", "y", "y_train")


class Arrays:
    """Batches cut from one array of inputs, with labels where there are any."""

    def __init__(self, inputs: Tensor, labels: Tensor | None, size: int) -> None:
        self.inputs, self.labels, self.size = inputs, labels, size

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.size)

    def __iter__(self) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
        for start in range(0, len(self.inputs), self.size):
            part = slice(start, start + self.size)
            inputs = self.inputs[part]
            yield inputs if self.labels is None else (inputs, self.labels[part])


def array_batches(path: str | Path, size: int) -> Arrays:
    """The inputs of a file, and its labels where it has any, ``size`` at a time.

    Raises:  BadData for a file that cannot be read, or has no array of inputs, or labels of another
             number; ModuleNotFoundError for .safetensors without safetensors
    """
    arrays = _read(Path(path))
    by_name = {name.lower(): value for name, value in arrays.items()}
    inputs = next((by_name[name] for name in INPUTS if name in by_name), None)
    labels = next((by_name[name] for name in LABELS if name in by_name), None)
    if inputs is None and len(arrays) == 1:
        inputs = next(iter(arrays.values()))
    if inputs is None or not inputs.ndim or not len(inputs):
        raise BadData(
            "no array of inputs is in this file",
            got=f"{path}: {', '.join(arrays) or 'nothing'}",
            do=f"call it {INPUTS[0]}, and the labels {LABELS[0]}",
        )
    if labels is not None and (not labels.ndim or len(labels) != len(inputs)):
        raise BadData(
            "inputs and labels are not as many",
            got=f"{path}: {len(inputs)} and {len(labels) if labels.ndim else 'a single number'}",
            do="give one label for each input",
        )
    return Arrays(inputs, labels, size)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".npz":
            refuse_bomb(path)
            with np.load(path, allow_pickle=False) as file:
                return {name: torch.from_numpy(file[name]) for name in file.files}
        from safetensors.torch import load_file

        return load_file(path)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # of many kinds, zip's and safetensors' own among them
        raise BadData(
            "this file cannot be read",
            got=f"{path}: {type(error).__name__}: {error}",
            do="give arrays written with numpy.savez or safetensors; pickled objects are refused",
        ) from error
