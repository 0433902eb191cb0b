"""Data on the command line: a folder of idx files, a file of arrays, or pkg.module:factory."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from evenkeel.errors import BadData, BadOption

Source = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="A folder of idx files, a .npz or .safetensors file of inputs (and labels), "
        "pkg.module:name of batches, or digits.",
    ),
]
BatchSize = Annotated[int, typer.Option(help="Inputs a batch, where SOURCE is no batches itself.")]


def batches(source: str, size: int) -> Any:
    """The batches of a source: they can be gone through again and again, if those of a factory can.

    Raises:  BadData, BadOption for what is none
    """
    if size < 1:
        raise BadOption("a batch holds inputs", got=f"--batch-size {size}", do="give 1 or more")
    if ":" in source and not Path(source).exists():
        from evenkeel.cli.model import found

        made = _checked(found(source, "data"), source)
        if isinstance(made, Iterator) and found(source, "data") is not made:
            return _Anew(source)
        return made
    from evenkeel.data import load
    from evenkeel.data.arrays import SUFFIXES, Arrays, array_batches

    if source.endswith(SUFFIXES):
        return array_batches(source, size)
    data = load(source, offline=True)
    return Arrays(data.train.images, data.train.labels, size)


def probe_of(data: Any) -> Any:
    """The inputs of the first batch, as ``fold`` and its like take a probe.

    Raises:  BadData when there is none, or it holds NaN
    """
    from evenkeel.surgery.probe import check_whole
    from evenkeel.surgery.recalibrate import given

    for batch in islice(data, 1):
        args, options = given(batch)
        probe: Any = dict(options) if options else args
        check_whole(probe)
        return probe
    raise BadData("there is no batch", got=type(data).__name__, do="give data")


class _Anew:
    """The batches of a function that gives an iterator, called anew for every pass."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __iter__(self) -> Iterator[Any]:
        from evenkeel.cli.model import found

        yield from found(self._source, "data")


def _checked(made: Any, source: str) -> Any:
    if isinstance(made, str | bytes) or not hasattr(made, "__iter__"):
        raise BadOption(
            "this gives no batches",
            got=f"{source}: a {type(made).__name__}",
            do="name a function without arguments that returns a list or a loader",
        )
    return made
