"""TensorFlow's checkpoints without TensorFlow: read and written, and the file that lists them."""

from evenkeel.checkpoint.bundle import Bundle
from evenkeel.checkpoint.entries import Entry, Header
from evenkeel.checkpoint.state import CheckpointState, latest_checkpoint, read_state, write_state
from evenkeel.checkpoint.writer import write_bundle

__all__ = [
    "Bundle",
    "CheckpointState",
    "Entry",
    "Header",
    "latest_checkpoint",
    "read_state",
    "write_bundle",
    "write_state",
]
