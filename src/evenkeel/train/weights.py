"""model.safetensors: a trained network's weights and buffers, and which network they belong to."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from evenkeel.errors import BadRun, EvenkeelError
from evenkeel.files import replace_file
from evenkeel.recipes import RECIPES
from evenkeel.recipes.recipe import Variant
from evenkeel.train.checkpoint import first_line
from evenkeel.train.config import RunConfig
from evenkeel.train.plain import from_json, to_json
from evenkeel.version import __version__

KEY = "evenkeel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which network the weights are of, and which version of evenkeel wrote them.

    ``checksum`` is over all of that and every tensor, for the format itself has none; "" for a file
    whose content was changed on purpose.
    """

    version: str
    recipe: str
    batch_norm: bool
    placement: str
    dtype: str = "float32"
    checksum: str = ""

    def signed(self, tensors: Mapping[str, Tensor]) -> "Origin":
        """This origin with the checksum for these tensors."""
        value = zlib.crc32(to_json(replace(self, checksum="")).encode())
        for name in sorted(tensors):
            value = zlib.crc32(f"{name} {tensors[name].dtype}".encode(), value)
            value = zlib.crc32(tensors[name].contiguous().numpy().tobytes(), value)
        return replace(self, checksum=f"{value:08x}")


def save_weights(path: Path, network: nn.Module, config: RunConfig) -> None:
    """Write parameters and buffers, with recipe and variant as metadata.

    Raises:  BadRun when the file cannot be written
    """
    origin = Origin(
        version=__version__,
        recipe=config.recipe,
        batch_norm=config.batch_norm,
        placement=config.placement,
        dtype=config.dtype,
    )
    tensors = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    # One key: safetensors writes several in another order each time, and equal runs equal files.
    replace_file(path, safetensors.torch.save(tensors, {KEY: to_json(origin.signed(tensors))}))


def load_network(path: Path) -> nn.Module:
    """The network whose weights ``save_weights`` wrote, on the CPU. Nothing in the file is executed.

    Raises:  BadRun for a file that is missing, damaged (one bit is enough) or not evenkeel's
    """
    metadata, tensors = _read(path)
    if KEY not in metadata:
        raise _refusal(
            path, "these weights were not written by evenkeel", metadata or "no metadata"
        )
    origin = _origin(path, metadata[KEY])
    if origin.checksum and origin.signed(tensors) != origin:
        raise BadRun(
            "the weights are damaged, or were changed by hand",
            got="content that differs from its checksum",
            do="restore the file from a copy; if you changed it, make its metadata's checksum ''",
            at=str(path),
        )
    try:
        network = RECIPES[origin.recipe].build(Variant(origin.batch_norm, origin.placement))
        network.to(getattr(torch, origin.dtype)).load_state_dict(tensors)
    except (EvenkeelError, RuntimeError) as error:
        reason = f"version {origin.version}: {first_line(error)}"
        raise _refusal(path, "these weights do not fit the recipe's network", reason) from error
    return network


def _origin(path: Path, text: str) -> Origin:
    try:
        return from_json(Origin, text)
    except BadRun as error:
        raise _refusal(path, error.problem, error.got) from error


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise _refusal(path, "the weights cannot be read", first_line(error)) from error


def _refusal(path: Path, problem: str, got: object) -> BadRun:
    return BadRun(problem, got=got, do="restore the file from a copy, or train again", at=str(path))
