"""`evenkeel export`: a model as ONNX or as a torch.export program, checked before it is written."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evenkeel.cli.model import Factory, Out, Weights
from evenkeel.cli.source import BatchSize, Source
from evenkeel.errors import BadOption, BadRun

if TYPE_CHECKING:
    from torch import nn


def export(
    model: Factory,
    *,
    weights: Weights = None,
    data: Source = None,
    fold: Annotated[bool, typer.Option("--fold", help="Fold batch normalization first.")] = False,
    out: Out = None,
    batch_size: BatchSize = 8,
) -> None:
    """Write the model in inference as .onnx (run by onnxruntime first) or .pt2 (torch.export).

    The first batch of --data says what the inputs look like, and is what both are compared on.
    """
    from evenkeel.cli import model as models
    from evenkeel.cli import surgery_shown as shown
    from evenkeel.cli.source import batches, probe_of
    from evenkeel.surgery import fold as library
    from evenkeel.surgery import report_of

    if data is None:
        raise BadOption("an export needs one batch", got="no --data", do="give --data SOURCE")
    path = models.out_path(out, model, ".onnx")
    if path.suffix not in (".onnx", ".pt2"):
        raise BadOption("a model is exported as .onnx or .pt2", got=path, do="rename it")
    built = models.built(model, weights)
    probe = probe_of(batches(data, batch_size))
    with models.running(data):
        if fold:
            built = library(built, probe)
            shown.show_sites(report_of(built))
        error = _written(built, probe, path)
    by = "onnxruntime" if path.suffix == ".onnx" else "the exported program"
    shown.show_verified(f"{by} differs by {error:.1e} of the largest output on the first batch")
    shown.show_files({path.suffix[1:]: path})


def _written(model: "nn.Module", probe: Any, path: Path) -> float:
    from evenkeel.surgery import export_onnx
    from evenkeel.surgery.export import export_program

    try:
        return (export_onnx if path.suffix == ".onnx" else export_program)(model, probe, path)
    except OSError as error:
        raise BadRun(
            f"{path.name} cannot be written",
            got=f"{path}: {error.strerror or error}",
            do="free space or choose another folder; what was there before is intact",
        ) from error
