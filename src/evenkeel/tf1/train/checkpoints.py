"""Checkpoints in a folder: which there are, what they hold."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from evenkeel.checkpoint import CheckpointState, read_state, write_state
from evenkeel.checkpoint.files import checkpoint_files
from evenkeel.errors import BadData
from evenkeel.tf1 import errors, logging
from evenkeel.tf1.dtypes import as_dtype, short_name
from evenkeel.tf1.ops.saving import opened, values_of
from evenkeel.tf1.proto import SaverDef


def checkpoint_exists(checkpoint_prefix: Any) -> bool:
    """Whether there is a checkpoint of this name, of version 1 or 2."""
    return bool(checkpoint_files(os.fspath(checkpoint_prefix)))


def latest_checkpoint(checkpoint_dir: Any, latest_filename: str | None = None) -> str | None:
    """The latest checkpoint of a folder, or None."""
    state = get_checkpoint_state(checkpoint_dir, latest_filename)
    if state is None:
        return None
    if checkpoint_exists(state.model_checkpoint_path):
        return state.model_checkpoint_path
    logging.error("Couldn't match files for checkpoint %s", state.model_checkpoint_path)
    return None


def get_checkpoint_state(
    checkpoint_dir: Any, latest_filename: str | None = None
) -> CheckpointState | None:
    """What the file ``checkpoint`` of a folder says; None where there is none that can be read."""
    try:
        state = read_state(checkpoint_dir, latest_filename)
    except (BadData, OSError) as error:
        name = latest_filename or "checkpoint"
        logging.warning("%s: Checkpoint ignored: %s", Path(checkpoint_dir) / name, error)
        return None
    if state is not None and not state.model_checkpoint_path:
        raise ValueError(f"Invalid checkpoint state loaded from {checkpoint_dir}")
    return state


def generate_checkpoint_state_proto(
    save_dir: Any, model_checkpoint_path: str, all_model_checkpoint_paths: Any = None,
    all_model_checkpoint_timestamps: Any = None, last_preserved_timestamp: float | None = None,
) -> CheckpointState:  # fmt: skip
    """What the file ``checkpoint`` of a folder shall say."""
    paths = list(all_model_checkpoint_paths or [])
    if paths[-1:] != [model_checkpoint_path]:
        paths.append(model_checkpoint_path)
    times = tuple(all_model_checkpoint_timestamps or ())
    if times and len(times) != len(paths):
        raise ValueError(
            "Checkpoint timestamps, if provided, must match checkpoint paths (got paths "
            f"{paths} and timestamps {list(times)})"
        )
    folder = os.fspath(save_dir)
    latest, *paths = (_beside(path, folder) for path in [model_checkpoint_path, *paths])
    return CheckpointState(latest, tuple(paths), times, last_preserved_timestamp or 0.0)


def _beside(path: str, folder: str) -> str:
    if os.path.isabs(folder) or os.path.isabs(path):  # noqa: PTH117
        return path
    return os.path.relpath(path, folder or ".")


def update_checkpoint_state(
    save_dir: Any, model_checkpoint_path: str, all_model_checkpoint_paths: Any = None,
    latest_filename: str | None = None, all_model_checkpoint_timestamps: Any = None,
    last_preserved_timestamp: float | None = None,
) -> None:  # fmt: skip
    """Write the file ``checkpoint`` of a folder, whole or not at all."""
    state_of(
        save_dir, model_checkpoint_path, all_model_checkpoint_paths, latest_filename,
        timestamps=all_model_checkpoint_timestamps, preserved=last_preserved_timestamp,
    )  # fmt: skip


def state_of(
    save_dir: Any, path: str, kept: Any, name: str | None, *, relative: bool = False,
    timestamps: Any = None, preserved: float | None = None,
) -> None:  # fmt: skip
    """Write the file ``checkpoint``, with relative paths on request."""
    made = generate_checkpoint_state_proto(save_dir, path, kept, timestamps, preserved)
    folder = os.fspath(save_dir)
    if os.path.join(folder, name or "checkpoint") == made.model_checkpoint_path:  # noqa: PTH118
        raise RuntimeError(
            f"Save path '{path}' conflicts with path used for checkpoint state.  Please use a "
            "different save path."
        )
    write_state(
        folder, path, list(kept or []), relative=relative, name=name, preserved=preserved,
        timestamps=made.all_model_checkpoint_timestamps,
    )  # fmt: skip


def get_checkpoint_mtimes(checkpoint_prefixes: Any) -> list[float]:
    """When each checkpoint that is there was written."""
    found = [checkpoint_files(os.fspath(prefix)) for prefix in checkpoint_prefixes]
    return [files[0].stat().st_mtime for files in found if files]


def remove_checkpoint(
    checkpoint_prefix: Any, checkpoint_format_version: int = SaverDef.V2,
    meta_graph_suffix: str = "meta",
) -> None:  # fmt: skip
    """Delete the files of a checkpoint, its index last; what is not there is left out."""
    prefix = os.fspath(checkpoint_prefix)
    gone = [Path(meta_graph_filename(prefix, meta_graph_suffix))]
    if checkpoint_format_version == SaverDef.V2:
        gone.append(Path(f"{prefix}.index"))
        gone += Path(prefix).parent.glob(f"{Path(prefix).name}.data-?????-of-?????")
    else:
        gone += checkpoint_files(prefix)
    for path in gone:
        path.unlink(missing_ok=True)


def meta_graph_filename(checkpoint_filename: str, meta_graph_suffix: str = "meta") -> str:
    """The name of the meta graph beside a checkpoint; one for all shards of version 1."""
    base, dash, shards = checkpoint_filename.rpartition("-?????-of-")
    whole = base if dash and shards.isdigit() else checkpoint_filename
    return f"{whole}.{meta_graph_suffix}"


class CheckpointReader:
    """The tensors of a checkpoint by name.

    Raises:  NotFoundError where there is no such checkpoint; DataLossError for a damaged one
    """

    def __init__(self, filename: Any) -> None:
        self._checkpoint = opened(os.fspath(filename))

    def has_tensor(self, tensor_str: str) -> bool:
        """Whether a tensor of this name is there."""
        return tensor_str in self._checkpoint

    def get_tensor(self, tensor_str: str) -> Any:
        """The values; bfloat16 as float32, which holds them exactly."""
        if tensor_str not in self._checkpoint:
            raise errors.NotFoundError(None, None, f"Key {tensor_str} not found in checkpoint")
        return np.array(values_of(self._checkpoint, tensor_str))[()]

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The shapes by name."""
        return {name: list(info.shape) for name, info in self._checkpoint.entries.items()}

    def get_variable_to_dtype_map(self) -> dict[str, Any]:
        """The types by name."""
        return {name: as_dtype(info.dtype_name) for name, info in self._checkpoint.entries.items()}

    def debug_string(self) -> bytes:
        """Name, type and shape of each, a line each."""
        lines = []
        for name, info in sorted(self._checkpoint.entries.items()):
            kind = f"DT_{short_name(as_dtype(info.dtype_name)).upper()}"
            pieces = f", {len(info.slices)} slices" if len(info.slices) > 1 else ""
            lines.append(f"{name} ({kind}) [{','.join(map(str, info.shape))}]{pieces}\n")
        return "".join(lines).encode("utf-8", "surrogateescape")


def NewCheckpointReader(filepattern: Any) -> CheckpointReader:  # noqa: N802  # TensorFlow's name
    """A reader of a checkpoint."""
    return CheckpointReader(filepattern)


def checkpoint_named(ckpt_dir_or_file: Any) -> str | None:
    """The checkpoint itself, or the latest one of a folder."""
    path = os.fspath(ckpt_dir_or_file)
    return latest_checkpoint(path) if Path(path).is_dir() else path


def load_checkpoint(ckpt_dir_or_file: Any) -> CheckpointReader:
    """A reader of a checkpoint, or of the latest one of a folder."""
    found = checkpoint_named(ckpt_dir_or_file)
    if found is None:
        raise ValueError(
            f"Couldn't find 'checkpoint' file or checkpoints in given directory {ckpt_dir_or_file}"
        )
    return CheckpointReader(found)


def load_variable(ckpt_dir_or_file: Any, name: str) -> Any:
    """The values of one tensor of a checkpoint."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


def list_variables(ckpt_dir_or_file: Any) -> list[tuple[str, list[int]]]:
    """Names and shapes, sorted."""
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())
