"""Checkpoints by their prefix, whatever their version: open, list, read."""

import warnings
from collections.abc import Iterable
from pathlib import Path

from evenkeel.checkpoint.bundle import Bundle
from evenkeel.checkpoint.dtypes import STRING, Array
from evenkeel.checkpoint.entries import TensorInfo
from evenkeel.checkpoint.files import index_path, part_of, slip_in, v1_files
from evenkeel.checkpoint.reader import Checkpoint
from evenkeel.checkpoint.v1 import V1Checkpoint


class StringsSkipped(UserWarning):
    """Tensors of strings were left out: they are no weights."""


def open_checkpoint(prefix: str | Path) -> Checkpoint:
    """The tensors of a checkpoint of version 1 or 2 by name, each read when it is asked for.

    Shapes:  as saved; partitioned variables whole
    Dtypes:  NumPy's; bfloat16 as float32, quantized integers as plain ones, strings as bytes
    Raises:  BadData for a checkpoint that is missing or damaged; UnknownName for a name it has not
    Source:  TensorFlow 1.15.5, which looks for version 2 first

    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from evenkeel.checkpoint import write_bundle
    >>> with TemporaryDirectory() as folder:
    ...     write_bundle(f"{folder}/model.ckpt", {"w": np.ones((2, 3), np.float32)})
    ...     checkpoint = open_checkpoint(f"{folder}/model.ckpt")
    ...     print(checkpoint.entries["w"].dtype_name, checkpoint["w"].sum())
    float32 6.0
    """
    index = index_path(str(prefix))
    if index.is_file() or part_of(index).is_file():
        return Bundle(prefix)
    is_v1 = v1_files(str(prefix)) and not slip_in(str(prefix))
    return V1Checkpoint(prefix) if is_v1 else Bundle(prefix)  # which says what is missing


def list_tensors(prefix: str | Path) -> dict[str, TensorInfo]:
    """What a checkpoint holds: dtype, shape and pieces by name, sorted; no values are read.

    Raises:  BadData for a checkpoint that is missing or damaged

    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from evenkeel.checkpoint import write_bundle
    >>> with TemporaryDirectory() as folder:
    ...     write_bundle(f"{folder}/model.ckpt", {"w": np.ones((2, 3), np.float32)})
    ...     held = list_tensors(f"{folder}/model.ckpt")
    >>> held["w"].dtype_name, held["w"].shape
    ('float32', (2, 3))
    """
    return dict(sorted(open_checkpoint(prefix).entries.items()))


def read_tensor(prefix: str | Path, name: str) -> Array:
    """One tensor of a checkpoint.

    Raises:  BadData for a checkpoint that is missing or damaged; UnknownName for a name it has not
    """
    return open_checkpoint(prefix)[name]


def read_tensors(prefix: str | Path, names: Iterable[str] | None = None) -> dict[str, Array]:
    """Tensors of a checkpoint by name: those of ``names``, or all numbers.

    Without ``names``, tensors of strings (a graph of objects, names of files) are left out with a
    warning that names them.

    Shapes:  as saved
    Dtypes:  as ``open_checkpoint``
    Raises:  BadData for a checkpoint that is missing or damaged; UnknownName for a name it has not

    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from evenkeel.checkpoint import write_bundle
    >>> with TemporaryDirectory() as folder:
    ...     write_bundle(f"{folder}/model.ckpt", {"w": np.ones(2), "step": np.int64(3)})
    ...     sorted(read_tensors(f"{folder}/model.ckpt"))
    ['step', 'w']
    """
    checkpoint = open_checkpoint(prefix)
    if names is not None:
        return {name: checkpoint[name] for name in names}
    strings = [name for name, info in checkpoint.entries.items() if info.dtype == STRING]
    if strings:
        listed = ", ".join(strings)
        warnings.warn(f"{prefix}: strings left out: {listed}", StringsSkipped, stacklevel=2)
    return {name: checkpoint[name] for name in checkpoint if name not in strings}
