"""Checkpoints in a folder: which there are, what they hold."""

from pathlib import Path
from typing import Any

import numpy as np

from evenkeel.checkpoint import CheckpointState, read_state, write_state
from evenkeel.checkpoint import latest_checkpoint as latest
from evenkeel.tf1.dtypes import as_dtype
from evenkeel.tf1.ops.saving import opened


def checkpoint_exists(checkpoint_prefix: str) -> bool:
    """Whether there is a checkpoint of this name."""
    return Path(f"{checkpoint_prefix}.index").is_file()


def latest_checkpoint(checkpoint_dir: str, latest_filename: str | None = None) -> str | None:
    """The latest checkpoint of a folder, or None."""
    return latest(checkpoint_dir, latest_filename)


def get_checkpoint_state(
    checkpoint_dir: str, latest_filename: str | None = None
) -> CheckpointState | None:
    """What the file ``checkpoint`` of a folder says, or None."""
    return read_state(checkpoint_dir, latest_filename)


def update_checkpoint_state(
    save_dir: str, model_checkpoint_path: str, all_model_checkpoint_paths: Any = None,
    latest_filename: str | None = None, **_: Any,
) -> None:  # fmt: skip
    """Write the file ``checkpoint`` of a folder."""
    kept = list(all_model_checkpoint_paths or [])
    write_state(save_dir or ".", model_checkpoint_path, kept, name=latest_filename)


def get_checkpoint_mtimes(checkpoint_prefixes: Any) -> list[float]:
    """When each checkpoint was written."""
    paths = [Path(f"{prefix}.index") for prefix in checkpoint_prefixes]
    return [path.stat().st_mtime for path in paths if path.is_file()]


def remove_checkpoint(checkpoint_prefix: str, *_: Any, meta_graph_suffix: str = "meta") -> None:
    """Delete the files of a checkpoint; what is not there is left out."""
    prefix = Path(checkpoint_prefix)
    for path in [
        *prefix.parent.glob(f"{prefix.name}.data-?????-of-?????"),
        Path(f"{checkpoint_prefix}.index"),
        Path(f"{checkpoint_prefix}.{meta_graph_suffix}"),
    ]:
        path.unlink(missing_ok=True)


class CheckpointReader:
    """The tensors of a checkpoint by name.

    Raises:  NotFoundError where there is no such checkpoint; DataLossError for a damaged one
    """

    def __init__(self, filename: str) -> None:
        self._bundle = opened(filename)

    def has_tensor(self, name: str) -> bool:
        """Whether a tensor of this name is there."""
        return name in self._bundle

    def get_tensor(self, name: str) -> Any:
        """The values."""
        from evenkeel.tf1 import errors

        if name not in self._bundle:
            raise errors.NotFoundError(None, None, f"Key {name} not found in checkpoint")
        return np.array(self._bundle[name])

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The shapes by name."""
        return {name: list(entry.shape) for name, entry in self._bundle.entries.items()}

    def get_variable_to_dtype_map(self) -> dict[str, Any]:
        """The types by name."""
        return {name: as_dtype(self._bundle[name].dtype) for name in self._bundle}


def NewCheckpointReader(filepattern: str) -> CheckpointReader:  # noqa: N802  # TensorFlow's name
    """A reader of a checkpoint."""
    return CheckpointReader(filepattern)


def load_checkpoint(ckpt_dir_or_file: str) -> CheckpointReader:
    """A reader of a checkpoint, or of the latest one of a folder."""
    if Path(ckpt_dir_or_file).is_dir():
        found = latest_checkpoint(ckpt_dir_or_file)
        if found is None:
            raise ValueError(
                "Couldn't find 'checkpoint' file or checkpoints in given directory "
                f"{ckpt_dir_or_file}"
            )
        ckpt_dir_or_file = found
    return CheckpointReader(ckpt_dir_or_file)


def load_variable(ckpt_dir_or_file: str, name: str) -> Any:
    """The values of one tensor of a checkpoint."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


def list_variables(ckpt_dir_or_file: str) -> list[tuple[str, list[int]]]:
    """Names and shapes, sorted."""
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())
