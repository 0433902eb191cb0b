"""`evenkeel recalibrate`: running statistics taken anew from data."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evenkeel.cli.model import Factory, Out, Weights
from evenkeel.cli.source import BatchSize, Source
from evenkeel.errors import BadOption

if TYPE_CHECKING:
    from torch import nn


def recalibrate(
    model: Factory,
    *,
    weights: Weights = None,
    data: Source = None,
    layerwise: Annotated[
        bool,
        typer.Option("--layerwise", help="Each layer by what recalibrated layers before it give."),
    ] = False,
    method: Annotated[
        str,
        typer.Option(metavar="population|average", help="Of all values, or of the batches'."),
    ] = "population",
    out: Out = None,
    batch_size: BatchSize = 64,
) -> None:
    """Take the running statistics of every layer anew from --data, and write the weights.

    Where the data has labels, the accuracy on it is shown before and after.
    """
    from evenkeel.cli import model as models
    from evenkeel.cli import surgery_shown as shown
    from evenkeel.cli.source import batches
    from evenkeel.surgery import recalibrate as library

    if data is None:
        raise BadOption("statistics are taken of data", got="no --data", do="give --data SOURCE")
    path = models.out_path(out, model, "-recalibrated.safetensors")
    built, given = models.built(model, weights), batches(data, batch_size)
    with models.running(data):
        made = library(built, given, layerwise=layerwise, method=method)
        line = None if isinstance(given, Iterator) else _compared(built, made, given)
    moved = _moved(built, made)
    shown.say(f"{len(moved)} batch-norm layers recalibrated")
    figures = ("channels", "mean moved", "variance, smallest", "largest")
    shown.show_table(("layer", *figures), moved, figures)
    if line is None:
        shown.say("not verified: the batches could be gone through once; give a list or a loader")
    else:
        shown.show_verified(line)
    models.save(made, path)
    shown.show_files({"weights": path}, f'ek.surgery.load_model(build(), "{path}")')


def _moved(old: "nn.Module", new: "nn.Module") -> list[tuple[str, ...]]:
    """For each layer how far its means went, in standard deviations, and the ratio of variances."""
    from evenkeel.surgery.sites import sites

    rows = []
    for before, after in zip(sites(old), sites(new), strict=True):
        pair = [site.module._buffers.get("running_mean") for site in (before, after)]
        spread = [site.module._buffers.get("running_var") for site in (before, after)]
        if pair[0] is None or pair[1] is None or spread[0] is None or spread[1] is None:
            continue
        shift = ((pair[1] - pair[0]).abs() / spread[1].clamp_min(1e-12).sqrt()).max()
        ratio = spread[1] / spread[0].clamp_min(1e-12)
        figures = (shift, ratio.min(), ratio.max())
        name = before.path or "(the model)"
        rows.append((name, str(pair[0].numel()), *(f"{float(v):.3g}" for v in figures)))
    return rows


def _compared(old: "nn.Module", new: "nn.Module", data: Any) -> str:
    """Accuracies before and after, where there are labels; else that all outputs are finite."""
    import torch

    seen, right = 0, [0, 0]
    finite = True
    with torch.no_grad():
        for batch in data:
            inputs, labels = _parts(batch)
            for turn, model in enumerate((old, new)):
                y = _logits(model, inputs)
                finite = finite and (turn == 0 or bool(y.isfinite().all()))
                if labels is not None and y.ndim == 2:
                    right[turn] += int((y.argmax(1) == labels).sum())
            seen += 0 if labels is None else len(labels)
    whole = "all outputs are finite" if finite else "SOME OUTPUTS ARE NOT FINITE"
    if not seen:
        return whole
    return f"accuracy on the data {right[0] / seen:.4f} -> {right[1] / seen:.4f}; {whole}"


def _parts(batch: Any) -> tuple[Any, Any]:
    """A batch's inputs, and its labels where it is a pair of tensors."""
    from torch import Tensor

    if isinstance(batch, tuple | list) and len(batch) == 2 and isinstance(batch[1], Tensor):
        whole = batch[1].ndim == 1 and not batch[1].is_floating_point()
        return batch, batch[1] if whole else None
    return batch, None


def _logits(model: "nn.Module", batch: Any) -> Any:
    from evenkeel.surgery.probe import tensors_in
    from evenkeel.surgery.recalibrate import given

    args, options = given(batch)
    return next(value for _, value in tensors_in("output", model(*args, **options)))
