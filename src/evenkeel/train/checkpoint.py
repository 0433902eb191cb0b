"""A resumable checkpoint: tensors and plain values alone, checked before anything of it is used."""

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evenkeel.errors import BadData, BadRun, EvenkeelError
from evenkeel.files import refuse_bomb, replace_file
from evenkeel.version import __version__

FORMAT = "evenkeel checkpoint 1"


class Diverged(EvenkeelError):
    """Loss, weights or optimizer state became NaN or infinite while training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything that a run needs to go on after ``step`` steps as if it had never stopped.

    ``identity`` says what run this belongs to: configuration and data. ``seconds`` is the work so
    far. The other fields are the state of network, optimizer, records and random generators.
    """

    identity: dict[str, Any]
    step: int
    seconds: float
    network: dict[str, Tensor]
    optimizer: dict[str, Any]
    history: dict[str, Tensor]
    rng: dict[str, Any]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole, or leave the old one.

    Raises:  Diverged when it holds NaN or infinity; BadRun when it cannot be written
    """
    if not all_finite([checkpoint.network, checkpoint.optimizer]):
        raise Diverged(
            "weights or optimizer state are not finite any more",
            got=f"NaN or infinity after step {checkpoint.step}",
            do="lower the learning rate, for example by a factor of 10",
        )
    content = {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint)}
    buffer = io.BytesIO()  # a full disk is then an OSError of the file's, not torch's own abort
    torch.save({"format": FORMAT, "evenkeel": __version__, **content}, buffer)
    replace_file(path, buffer.getbuffer())


def load_checkpoint(path: Path, identity: dict[str, Any]) -> Checkpoint:
    """The checkpoint of the run with this identity. Nothing in the file is executed.

    Raises:  BadRun for a file that is damaged, foreign, or of another run
    """
    content = _content(path)
    names = [field.name for field in fields(Checkpoint)]
    if content.get("format") != FORMAT or any(name not in content for name in names):
        raise _refusal(
            path,
            "this is not a checkpoint of evenkeel's",
            f"a file with {', '.join(sorted(map(str, content))[:8])}",
        )
    theirs = content["identity"]
    if theirs != identity:
        odd = [name for name in identity if theirs.get(name) != identity[name]]
        raise _refusal(
            path,
            "this checkpoint belongs to another run",
            ", ".join(f"{name} {theirs.get(name)!r}, not {identity[name]!r}" for name in odd),
        )
    return Checkpoint(**{name: content[name] for name in names})


def restore_network(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Give a network the checkpoint's weights and buffers.

    Raises:  BadRun when they are of another network: one of another version of evenkeel, for example
    """
    try:
        network.load_state_dict(checkpoint.network)
    except RuntimeError as error:
        raise BadRun(
            "the checkpoint's weights do not fit the recipe's network",
            got="; ".join(line.strip() for line in str(error).splitlines()[1:4]),
            do=f"resume with the version of evenkeel that wrote it; this is {__version__}",
        ) from error


def all_finite(state: object) -> bool:
    """Whether no floating-point tensor in a nested state holds NaN or infinity.

    >>> all_finite({"weight": torch.ones(2), "state": [{"m": torch.tensor(float("nan"))}]})
    False
    """
    if isinstance(state, Tensor):
        return not state.is_floating_point() or bool(torch.isfinite(state).all())
    if isinstance(state, dict):
        return all(all_finite(value) for value in state.values())
    if isinstance(state, list | tuple):
        return all(all_finite(value) for value in state)
    return True


def _content(path: Path) -> dict[str, Any]:
    """The file's content, once its own checksums say that it is whole."""
    try:
        refuse_bomb(path)
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch's reader skips the checksums
    except BadData as error:
        raise _refusal(path, error.problem, error.got) from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        raise _refusal(path, "this is not a checkpoint, or a truncated one", error) from error
    except OSError as error:
        raise _refusal(path, "the checkpoint cannot be read", error.strerror or error) from error
    if damaged:
        raise _refusal(path, "the checkpoint is damaged", f"wrong checksum of {damaged}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise _refusal(
            path, "this is not a checkpoint of tensors and plain values", first_line(error)
        ) from error
    if not isinstance(content, dict):
        raise _refusal(path, "this is not a checkpoint of evenkeel's", type(content).__name__)
    return content


def first_line(error: BaseException) -> str:
    """The first line of an error's message, shortened: torch's own go on for a page."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _refusal(path: Path, problem: str, got: object) -> BadRun:
    return BadRun(
        problem,
        got=got,
        do="restore the file from a copy, or train again in a new folder",
        at=str(path),
    )
