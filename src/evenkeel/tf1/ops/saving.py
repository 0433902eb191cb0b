"""The nodes of a Saver: tensors to a checkpoint, and back."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from evenkeel import errors as problems
from evenkeel.checkpoint import (
    Checkpoint,
    Piece,
    merge_bundles,
    open_checkpoint,
    write_bundle,
    write_v1,
)
from evenkeel.checkpoint.files import checkpoint_files
from evenkeel.checkpoint.slices import WHOLE, Extents, box_of, read_spec
from evenkeel.tf1 import errors
from evenkeel.tf1.dtypes import DType, as_dtype, short_name
from evenkeel.tf1.ops.rules import broadcast, scalar, unknown
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape, unknown_shape
from evenkeel.tf1.values import to_numpy, to_torch


def _text(value: Any) -> str:
    item = value.item() if hasattr(value, "item") else value
    return item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item)


def _texts(values: Any) -> list[str]:
    return [_text(v) for v in values.reshape(-1)]


# ---- out


@op("SaveV2", stateful=True)
def save(prefix: Any, names: Any, specs: Any, tensors: list[Any], *, op: Any) -> None:
    """Write a checkpoint of one shard, whole or not at all."""
    pairs = _pairs(names, specs, tensors, op)
    kinds = [t.dtype.base_dtype for t in op.inputs[3:]]
    low = {n: k.name for (n, _), k in zip(pairs, kinds, strict=True) if k.name == "bfloat16"}
    with _writing(op):
        write_bundle(_placed(prefix, op), pairs, dtypes=low)


@op("SaveSlices", stateful=True)
def save_slices(filename: Any, names: Any, specs: Any, tensors: list[Any], *, op: Any) -> None:
    """Write a checkpoint of version 1, whole or not at all."""
    with _writing(op):
        write_v1(_placed(filename, op), _pairs(names, specs, tensors, op))


@op("Save", stateful=True)
def save_whole(filename: Any, names: Any, tensors: list[Any], *, op: Any) -> None:
    """Write a checkpoint of version 1 without slices."""
    save_slices(filename, names, np.array([b""] * len(tensors), object), tensors, op=op)


def _pairs(names: Any, specs: Any, tensors: list[Any], op: Any) -> list[tuple[str, Any]]:
    return [
        (name, _piece(to_numpy(tensor), _spec(spec, op)))
        for name, spec, tensor in zip(_texts(names), _texts(specs), tensors, strict=True)
    ]


def _piece(values: Any, spec: tuple[tuple[int, ...], Extents] | None) -> Any:
    if spec is None:
        return values
    shape, extents = spec
    return Piece(np.asarray(values), shape, tuple(start for start, _ in extents))


def _spec(text: str, op: Any) -> tuple[tuple[int, ...], Extents] | None:
    try:
        return read_spec(text)
    except problems.BadShape as error:
        raise errors.InvalidArgumentError(None, op, str(error)) from error


def _placed(prefix: Any, op: Any) -> str:
    """Where to save: as in TensorFlow, the folder is made if the one that it is in is there."""
    path = _text(prefix)
    if not Path(path).parent.parent.is_dir():
        raise errors.NotFoundError(None, op, f"{Path(path).parent}; No such file or directory")
    return path


@contextmanager
def _writing(op: Any) -> Iterator[None]:
    try:
        yield
    except (OSError, problems.BadData) as error:
        raise errors.NotFoundError(None, op, str(error)) from error
    except problems.EvenkeelError as error:
        raise errors.InvalidArgumentError(None, op, str(error)) from error


@op("MergeV2Checkpoints", stateful=True)
def merge(prefixes: Any, destination: Any, *, delete_old_dirs: bool, op: Any) -> None:
    """Make one checkpoint of those that a sharded save wrote."""
    parts = _texts(prefixes)
    with _writing(op):
        merge_bundles(parts, _text(destination))
    for folder in {Path(part).parent for part in parts} if delete_old_dirs else ():
        shutil.rmtree(folder, ignore_errors=True)


@op("StringJoin", shape=broadcast)
def string_join(values: list[Any], *, separator: str) -> Any:
    """The texts one after the other, the separator between."""
    parts = [np.asarray(value, object) for value in values]
    shape = np.broadcast_shapes(*(part.shape for part in parts))
    rows = zip(*(map(_octets, np.broadcast_to(part, shape).ravel()) for part in parts), strict=True)
    joined = np.empty(int(np.prod(shape)), object)
    joined[:] = [separator.encode().join(row) for row in rows]
    return joined.reshape(shape)


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


@op("ShardedFilename", shape=scalar)
def sharded_filename(basename: Any, shard: Any, shards: Any) -> Any:
    """The name of one shard."""
    return _one(f"{_text(basename)}-{int(shard):05d}-of-{int(shards):05d}")


@op("ShardedFilespec", shape=scalar)
def sharded_filespec(basename: Any, shards: Any) -> Any:
    """The pattern that matches the names of all shards."""
    return _one(f"{_text(basename)}-?????-of-{int(shards):05d}")


def _one(text: str) -> Any:
    return np.array(text.encode("utf-8", "surrogateescape"), object)


# ---- back


def _sliced(node: Any) -> list[TensorShape]:
    """The shapes that constant slices name; unknown without them."""
    specs = node.inputs[2].op
    if specs.type != "Const":
        return unknown(node)
    found = [_spec(text, node) for text in _texts(specs.attrs["value"])]
    return [unknown_shape() if spec is None else _size_of(*spec) for spec in found]


def _size_of(shape: tuple[int, ...], extents: Extents) -> TensorShape:
    return TensorShape([side.stop - side.start for side in box_of(extents, shape)])


@op("RestoreV2", stateful=True, shape=_sliced)
def restore(prefix: Any, names: Any, specs: Any, *, op: Any, device: Any) -> Any:
    """Read tensors of a checkpoint, or the slices that are asked for."""
    checkpoint = opened(_text(prefix), op)
    found = [
        _restored(checkpoint, name, _spec(spec, op), tensor.dtype, op, device)
        for name, spec, tensor in zip(_texts(names), _texts(specs), op.outputs, strict=True)
    ]
    return found[0] if len(found) == 1 else tuple(found)


@op("RestoreSlice", stateful=True, shape=unknown)
def restore_slice(pattern: Any, name: Any, spec: Any, *, op: Any, device: Any) -> Any:
    """Read one tensor of a checkpoint, or a slice of it."""
    checkpoint = opened(_text(pattern), op)
    return _restored(
        checkpoint, _text(name), _spec(_text(spec), op), op.outputs[0].dtype, op, device
    )


@op("Restore", stateful=True, shape=unknown)
def restore_whole(pattern: Any, name: Any, *, op: Any, device: Any) -> Any:
    """Read one tensor of a checkpoint."""
    return _restored(opened(_text(pattern), op), _text(name), None, op.outputs[0].dtype, op, device)


def _restored(
    checkpoint: Checkpoint, name: str, spec: Any, dtype: DType, op: Any, device: Any
) -> Any:
    info = checkpoint.entries.get(name)
    if info is None:
        raise errors.NotFoundError(None, op, f"Key {name} not found in checkpoint")
    kept = as_dtype(info.dtype_name)
    if kept != dtype.base_dtype:
        raise errors.InvalidArgumentError(
            None,
            op,
            f"tensor_name = {name}; expected dtype {short_name(dtype.base_dtype)} does not equal "
            f"original dtype {short_name(kept)}",
        )
    if spec is not None and spec[0] != info.shape:
        raise errors.InvalidArgumentError(
            None,
            op,
            f"tensor_name = {name}; shape in shape_and_slice spec {_sizes(spec[0])} does not match "
            f"the shape stored in checkpoint: {_sizes(info.shape)}",
        )
    whole = spec is None or all(length == WHOLE for _, length in spec[1])
    return to_torch(values_of(checkpoint, name, None if whole else spec[1], op), dtype, device)


def values_of(
    checkpoint: Checkpoint, name: str, extents: Extents | None = None, op: Any = None
) -> Any:
    """A tensor of a checkpoint, or a part; DataLossError for a damaged one."""
    try:
        return checkpoint.read(name, extents)
    except problems.BadData as error:
        raise errors.DataLossError(None, op, str(error)) from error


def _sizes(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def opened(prefix: str, op: Any = None) -> Checkpoint:
    """A checkpoint; NotFoundError where there is none, DataLossError for a damaged one."""
    if not checkpoint_files(prefix):
        raise errors.NotFoundError(
            None,
            op,
            "Unsuccessful TensorSliceReader constructor: Failed to find any matching files for "
            f"{prefix}",
        )
    try:
        return open_checkpoint(prefix)
    except problems.BadData as error:
        raise errors.DataLossError(None, op, str(error)) from error
