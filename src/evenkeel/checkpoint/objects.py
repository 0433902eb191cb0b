"""Checkpoints of objects (``tf.train.Checkpoint``): which key a variable of a name is saved under.

TrackableObjectGraph: 1 nodes, each a TrackableObject with 2 attributes, each a SerializedTensor with
2 full_name, 3 checkpoint_key.
"""

from evenkeel.checkpoint.reader import Checkpoint
from evenkeel.checkpoint.wire import fields, octets
from evenkeel.errors import located

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def object_keys(checkpoint: Checkpoint) -> dict[str, str]:
    """The keys by the variables' names; empty for a checkpoint of names.

    Raises:  BadData for a graph of objects that is damaged
    """
    if GRAPH not in checkpoint:
        return {}
    found = {}
    with located(f"{checkpoint.prefix}, tensor {GRAPH!r}"):
        for node in _messages(memoryview(checkpoint[GRAPH].item()), 1):
            for attribute in _messages(node, 2):
                texts = {n: bytes(octets(v)).decode() for n, v in fields(attribute) if n in (2, 3)}
                if texts.get(2):
                    found[texts[2]] = texts.get(3, "")
    return found


def _messages(message: memoryview, wanted: int) -> list[memoryview]:
    return [octets(value) for number, value in fields(message) if number == wanted]
