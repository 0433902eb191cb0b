"""Weights in a safetensors file, with what each batch-norm layer means by them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evenkeel.errors import BadOption, BadRun, MissingExtra
from evenkeel.files import write_whole
from evenkeel.nn import BatchNorm, FrozenBatchNorm
from evenkeel.surgery.linear import spec_in_inference
from evenkeel.surgery.sites import sites

KEY = "evenkeel.batch_norm"


def save_model(model: nn.Module, path: str | Path) -> None:
    """Write parameters and buffers to ``path``, with the convention of every batch-norm layer.

    Raises:  MissingExtra without safetensors; OSError when the file cannot be written, and then one
             that was there is kept
    Source:  the safetensors format; tensors that share memory are written once for each name

    >>> save_model(nn.BatchNorm1d(2), "weights.safetensors")  # doctest: +SKIP
    """
    write_whole(Path(path), serialized(model))


def serialized(model: nn.Module) -> bytes:
    """What ``save_model`` writes.

    >>> len(serialized(nn.ReLU())) < 100
    True
    """
    tensors = {n: v.detach().cpu().clone().contiguous() for n, v in model.state_dict().items()}
    meaning = json.dumps(conventions_in(model), sort_keys=True)
    content: bytes = _safetensors().save(tensors, {KEY: meaning})
    return content


def load_model(model: nn.Module, path: str | Path) -> nn.Module:
    """Load what ``save_model`` wrote into ``model``, whose layers must mean the same by it.

    Raises:  BadRun for a file that is missing or damaged, or whose tensors do not fit; BadOption when
             a layer has another epsilon, activation, axis or variance than the one that was written;
             then the model is as it was
    Source:  the safetensors format. Nothing in the file is executed

    A file without conventions, written by others, is loaded as it is.

    >>> load_model(nn.BatchNorm1d(2), "weights.safetensors")  # doctest: +SKIP
    """
    safetensors = _safetensors()
    try:
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        tensors: dict[str, Tensor] = safetensors.load_file(path)
    except Exception as error:  # safetensors has errors of its own for everything
        raise _unreadable(path, error) from error
    _check_meaning(json.loads(metadata.get(KEY, "{}")), conventions_in(model))
    _check_fits(model.state_dict(), tensors, path)
    model.load_state_dict(tensors)
    return model


def conventions_in(model: nn.Module) -> dict[str, dict[str, Any]]:
    """What each layer that has statistics means by them, by path.

    >>> conventions_in(nn.Sequential(nn.BatchNorm1d(2)))["0"]["running_var"]
    'unbiased'
    """
    return {
        site.path: _meaning(site.module)
        for site in sites(model)
        if isinstance(site.module._buffers.get("running_mean"), Tensor)
    }


def _meaning(layer: nn.Module) -> dict[str, Any]:
    spec, ours = spec_in_inference(layer), isinstance(layer, BatchNorm | FrozenBatchNorm)
    axis = spec.channel_axis
    rule = asdict(spec.running) if ours else {"momentum": layer.momentum}
    return {
        "kind": type(layer).__name__,
        "eps": spec.eps,
        "channel_axis": list(axis) if isinstance(axis, tuple) else axis,
        "activation": spec.activation,
        "running_var": "unbiased" if spec.unbiased else "biased",
        "running": {"rule": type(spec.running).__name__, **rule},
    }


def _check_meaning(written: dict[str, Any], mine: dict[str, Any]) -> None:
    """What changes the numbers must agree; kind and rule may differ, as a frozen layer's do."""
    for path in sorted(written.keys() & mine.keys()):
        for name in ("eps", "channel_axis", "activation", "running_var"):
            if written[path][name] != mine[path][name]:
                raise BadOption(
                    "this layer means something else by its numbers than the one that was saved",
                    got=f"{name} {mine[path][name]}, in the file {written[path][name]}",
                    do=f"build it with {name}={written[path][name]!r}, or convert as the saved one",
                    at=path or "the model",
                )


def _check_fits(mine: dict[str, Tensor], tensors: dict[str, Tensor], path: str | Path) -> None:
    wrong = sorted(mine.keys() ^ tensors.keys())
    wrong += [n for n in mine.keys() & tensors.keys() if mine[n].shape != tensors[n].shape]
    if wrong:
        raise BadRun(
            "these weights do not fit the model; a folded model's are other ones",
            got=f"{len(wrong)} names or shapes that differ, such as {wrong[0]}",
            do="build the model as it was when they were saved: converted, folded or neither",
            at=str(path),
        )


def _unreadable(path: str | Path, error: Exception) -> BadRun:
    return BadRun(
        "the weights cannot be read",
        got=f"{type(error).__name__}: {error}",
        do="restore the file from a copy",
        at=str(path),
    )


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError:
        raise MissingExtra(
            "weights are kept in safetensors files",
            got=f"no safetensors beside torch {torch.__version__}",
            do="pip install safetensors",
        ) from None
    return safetensors.torch
