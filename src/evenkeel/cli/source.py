"""Data on the command line: a folder of idx files, a file of arrays, or pkg.module:factory."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evenkeel.errors import BadData, BadOption

if TYPE_CHECKING:
    from torch import Tensor

Source = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="A folder of idx files, a .npz or .safetensors file of inputs (and labels), "
        "pkg.module:name of batches, or digits.",
    ),
]
BatchSize = Annotated[int, typer.Option(help="Inputs a batch, where SOURCE is no batches itself.")]
INPUTS = ("inputs", "input", "images", "x", "data", "pixel_values", "x_train")
LABELS = ("labels", "label", "targets", "target", "y", "y_train")


class Arrays:
    """Batches cut from one array of inputs, with labels where there are any."""

    def __init__(self, inputs: "Tensor", labels: "Tensor | None", size: int) -> None:
        self.inputs, self.labels, self.size = inputs, labels, size

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.size)

    def __iter__(self) -> Iterator["Tensor | tuple[Tensor, Tensor]"]:
        for start in range(0, len(self.inputs), self.size):
            part = slice(start, start + self.size)
            inputs = self.inputs[part]
            yield inputs if self.labels is None else (inputs, self.labels[part])


def batches(source: str, size: int) -> Any:
    """The batches of a source: they can be gone through again and again, if those of a factory can.

    Raises:  BadData, BadOption for what is none
    """
    if size < 1:
        raise BadOption("a batch holds inputs", got=f"--batch-size {size}", do="give 1 or more")
    if ":" in source and not Path(source).exists():
        from evenkeel.cli.model import found

        return _checked(found(source, "data"), source)
    path = Path(source)
    if path.suffix in (".npz", ".safetensors"):
        return _of_arrays(_arrays(path), source, size)
    from evenkeel.data import load

    data = load(source, offline=True)
    return Arrays(data.train.images, data.train.labels, size)


def probe_of(data: Any, dtype: Any = None) -> Any:
    """The inputs of the first batch, as ``fold`` and its like take a probe.

    Raises:  BadData when there is none
    """
    from evenkeel.surgery.recalibrate import given

    for batch in islice(data, 1):
        args, options = given(batch)
        return dict(options) if options else args
    raise BadData("there is no batch", got=type(data).__name__, do="give data")


def _checked(made: Any, source: str) -> Any:
    if isinstance(made, str | bytes) or not hasattr(made, "__iter__"):
        raise BadOption(
            "this gives no batches",
            got=f"{source}: a {type(made).__name__}",
            do="name a function without arguments that returns a list or a loader",
        )
    return made


def _arrays(path: Path) -> dict[str, "Tensor"]:
    import numpy as np
    import torch

    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: torch.from_numpy(file[name]) for name in file.files}
        from safetensors.torch import load_file

        return load_file(path)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError):
            raise
        raise BadData(
            "this file cannot be read",
            got=f"{path}: {type(error).__name__}: {error}",
            do="give arrays written with numpy.savez or safetensors; pickled objects are refused",
        ) from error


def _of_arrays(arrays: dict[str, "Tensor"], source: str, size: int) -> Arrays:
    by_name = {name.lower(): value for name, value in arrays.items()}
    inputs = next((by_name[name] for name in INPUTS if name in by_name), None)
    labels = next((by_name[name] for name in LABELS if name in by_name), None)
    if inputs is None and len(arrays) == 1:
        inputs = next(iter(arrays.values()))
    if inputs is None or not len(inputs):
        raise BadData(
            "no array of inputs is in this file",
            got=f"{source}: {', '.join(arrays) or 'nothing'}",
            do=f"call it {INPUTS[0]}, and the labels {LABELS[0]}",
        )
    if labels is not None and len(labels) != len(inputs):
        raise BadData(
            "inputs and labels are not as many",
            got=f"{source}: {len(inputs)} and {len(labels)}",
            do="give one label for each input",
        )
    return Arrays(inputs, labels, size)
