"""The nodes of a Saver: tensors to a checkpoint, and back."""

from typing import Any

from evenkeel import errors as problems
from evenkeel.checkpoint import Bundle, write_bundle
from evenkeel.tf1 import errors
from evenkeel.tf1.ops.rules import unknown
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.values import to_numpy, to_torch


def _text(value: Any) -> str:
    item = value.item() if hasattr(value, "item") else value
    return item.decode() if isinstance(item, bytes) else str(item)


def _texts(values: Any) -> list[str]:
    return [_text(v) for v in values.reshape(-1)]


@op("SaveV2", stateful=True)
def save(prefix: Any, names: Any, _slices: Any, tensors: list[Any], *, op: Any) -> None:
    """Write a checkpoint of one shard, whole or not at all."""
    pairs = zip(_texts(names), (to_numpy(t) for t in tensors), strict=True)
    try:
        write_bundle(_text(prefix), list(pairs))
    except (OSError, problems.BadData) as error:
        raise errors.NotFoundError(None, op, str(error)) from error


@op("RestoreV2", stateful=True, shape=unknown)
def restore(prefix: Any, names: Any, _slices: Any, *, op: Any, device: Any) -> Any:
    """Read tensors of a checkpoint."""
    bundle = opened(_text(prefix), op)
    found = []
    for name, tensor in zip(_texts(names), op.outputs, strict=True):
        if name not in bundle:
            raise errors.NotFoundError(None, op, f"Key {name} not found in checkpoint")
        try:
            found.append(to_torch(bundle[name], tensor.dtype, device))
        except problems.BadData as error:
            raise errors.DataLossError(None, op, str(error)) from error
    return found[0] if len(found) == 1 else tuple(found)


def opened(prefix: str, op: Any = None) -> Bundle:
    """A checkpoint; NotFoundError where there is none, DataLossError for a damaged one."""
    from evenkeel.checkpoint.files import index_path

    if not index_path(prefix).is_file():
        raise errors.NotFoundError(
            None,
            op,
            "Unsuccessful TensorSliceReader constructor: Failed to find any matching files for "
            f"{prefix}",
        )
    try:
        return Bundle(prefix)
    except problems.BadData as error:
        raise errors.DataLossError(None, op, str(error)) from error
