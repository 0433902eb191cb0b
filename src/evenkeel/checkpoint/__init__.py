"""TensorFlow's checkpoints without TensorFlow: read and written, and the file that lists them.

| to                                             | call                                              |
|------------------------------------------------|---------------------------------------------------|
| see what a checkpoint holds                    | ``list_tensors(prefix)``                          |
| read one tensor, or many                       | ``read_tensor(prefix, name)``, ``read_tensors``   |
| read lazily, or parts of tensors               | ``open_checkpoint(prefix)``, a mapping            |
| write one (version 2)                          | ``write_bundle(prefix, tensors)``                 |
| write one in pieces and put them together      | ``Piece``, ``merge_bundles``                      |
| find the latest of a folder                    | ``latest_checkpoint``, ``read_state``             |

``prefix`` is what ``Saver.save`` returns: the names of the files without ``.index`` and ``.data-…``; of
version 1 the file itself, or the pattern of its shards.
"""

from evenkeel.checkpoint.bundle import Bundle
from evenkeel.checkpoint.entries import Entry, Header, TensorInfo
from evenkeel.checkpoint.library import (
    StringsSkipped,
    list_tensors,
    open_checkpoint,
    read_tensor,
    read_tensors,
)
from evenkeel.checkpoint.merging import merge_bundles
from evenkeel.checkpoint.reader import Checkpoint
from evenkeel.checkpoint.slices import Piece
from evenkeel.checkpoint.state import CheckpointState, latest_checkpoint, read_state, write_state
from evenkeel.checkpoint.v1 import V1Checkpoint
from evenkeel.checkpoint.v1_writer import write_v1
from evenkeel.checkpoint.writer import write_bundle

__all__ = [
    "Bundle",
    "Checkpoint",
    "CheckpointState",
    "Entry",
    "Header",
    "Piece",
    "StringsSkipped",
    "TensorInfo",
    "V1Checkpoint",
    "latest_checkpoint",
    "list_tensors",
    "merge_bundles",
    "open_checkpoint",
    "read_state",
    "read_tensor",
    "read_tensors",
    "write_bundle",
    "write_state",
    "write_v1",
]
