"""``tf.TensorArray``: values by number, written by some turns of a loop and read by others."""

from collections.abc import Iterable
from typing import Any

import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.rules import scalar, unknown
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape, unknown_shape

_FLOW = torch.zeros(())  # what orders reads and writes


class Array:
    """The values of one array in one run; a gradient's array adds up what is written."""

    def __init__(self, name: str, size: int, dtype: Any, **options: Any) -> None:
        self.name, self.dtype = name, dtype
        self.sizes: tuple[int, ...] | None = options.get("sizes")
        self.grows, self.once = options.get("grows", False), options.get("once", False)
        self.adds, self.device = options.get("adds", False), options.get("device")
        self.values: list[Any] = [None] * size
        self._read = [False] * size
        self._gradients: dict[str, Array] = {}

    def gradient(self, source: str) -> "Array":
        """The array of what ``source``, a call of tf.gradients, finds for these values."""
        if source not in self._gradients:
            options = {"sizes": self.sizes, "adds": True, "device": self.device}
            made = Array(f"{self.name}@{source}", len(self.values), self.dtype, **options)
            self._gradients[source] = made
        return self._gradients[source]

    def write(self, index: int, value: Any, node: Any) -> None:
        """Put a value at a place."""
        if self.grows and index >= len(self.values):
            more = index + 1 - len(self.values)
            self.values += [None] * more
            self._read += [False] * more
        if not 0 <= index < len(self.values):
            raise self._refusal(
                node, f"Tried to write to index {index} but array is not resizeable and size is: "
                f"{len(self.values)}",
            )  # fmt: skip
        if self._read[index] or (self.values[index] is not None and not self.adds):
            done = "read" if self._read[index] else "written to"
            raise self._refusal(
                node,
                f"Could not write to TensorArray index {index} because it has already been {done}.",
            )
        self.sizes = tuple(value.shape)
        before = self.values[index]
        self.values[index] = value if before is None else before + value

    def read(self, index: int, node: Any) -> Any:
        """The value at a place; zeros where none was written and the sizes are known."""
        if not 0 <= index < len(self.values):
            raise self._refusal(
                node, f"Tried to read from index {index} but array size is: {len(self.values)}"
            )
        if self.once and self._read[index]:
            raise self._refusal(
                node, f"Could not read index {index} twice because it was cleared after a previous "
                "read (perhaps try setting clear_after_read = false?)",
            )  # fmt: skip
        self._read[index] = True
        value = self.values[index]
        if self.once:
            self.values[index] = None
        return self._zeros(index, node) if value is None else value

    def _zeros(self, index: int, node: Any) -> Any:
        if self.sizes is None:
            raise self._refusal(
                node, f"Could not read from TensorArray index {index}.  Furthermore, the element "
                "shape is not fully defined",
            )  # fmt: skip
        return torch.zeros(self.sizes, dtype=self.dtype.as_torch_dtype, device=self.device)

    def _refusal(self, node: Any, text: str) -> Exception:
        return errors.InvalidArgumentError(None, node, f"TensorArray {self.name}: {text}")


@op(
    "TensorArrayV3", host=("size",), stateful=True,
    shape=lambda _node: [TensorShape([2]), TensorShape([])],
)  # fmt: skip
def tensor_array(
    size: int, *, dtype: Any, element_shape: Any, dynamic_size: bool, clear_after_read: bool,
    tensor_array_name: str, op: Any, device: Any,
) -> Any:  # fmt: skip
    """An empty array, and the first flow."""
    known = tuple(element_shape.as_list()) if element_shape.is_fully_defined() else None
    options = {"sizes": known, "grows": dynamic_size, "once": clear_after_read, "device": device}
    return Array(tensor_array_name or op.name, size, dtype, **options), _FLOW


@op("TensorArrayWriteV3", host=("index",), stateful=True, shape=scalar)
def write(handle: Array, index: int, value: Any, flow: Any, *, op: Any) -> Any:
    """The flow after one value was written."""
    handle.write(index, value, op)
    return flow


def _element(node: Any) -> list[TensorShape]:
    made = node.inputs[0].op
    while made.type in ("Enter", "TensorArrayGradV3"):
        made = made.inputs[0].op
    one = made.attrs.get("identical_element_shapes", False)
    return [made.attrs["element_shape"] if one else unknown_shape()]


@op("TensorArrayReadV3", host=("index",), stateful=True, shape=_element)
def read(handle: Array, index: int, flow: Any, *, op: Any) -> Any:
    """One value."""
    return handle.read(index, op)


@op("TensorArrayScatterV3", host=("indices",), stateful=True, shape=scalar)
def scatter(handle: Array, indices: list[int], value: Any, flow: Any, *, op: Any) -> Any:
    """The flow after rows were written to places."""
    for index, row in zip(indices, value, strict=True):
        handle.write(index, row, op)
    return flow


@op("TensorArrayGatherV3", host=("indices",), stateful=True, shape=unknown)
def gather(handle: Array, indices: list[int], flow: Any, *, element_shape: Any, op: Any) -> Any:
    """The values of places as rows of one tensor."""
    rows = [handle.read(i, op) for i in indices]
    if rows:
        return torch.stack(rows)
    sizes = handle.sizes or tuple(element_shape.as_list())
    return torch.zeros((0, *sizes), dtype=handle.dtype.as_torch_dtype, device=handle.device)


@op(
    "TensorArrayConcatV3", stateful=True, shape=lambda _node: [unknown_shape(), TensorShape([None])]
)
def concat(handle: Array, flow: Any, *, op: Any) -> Any:
    """All values joined along their first axis, and the length of each."""
    parts = [handle.read(i, op) for i in range(len(handle.values))]
    return torch.cat(parts), torch.tensor([len(p) for p in parts], dtype=torch.int64)


@op("TensorArraySplitV3", host=("lengths",), stateful=True, shape=scalar)
def split(handle: Array, value: Any, lengths: Iterable[int], flow: Any, *, op: Any) -> Any:
    """The flow after parts of these lengths were written to the places in turn."""
    for index, part in enumerate(torch.split(value, list(lengths))):
        handle.write(index, part, op)
    return flow


@op("TensorArraySizeV3", stateful=True, shape=scalar)
def size(handle: Array, flow: Any) -> Any:
    """The number of places."""
    return torch.tensor(len(handle.values), dtype=torch.int32)


@op("TensorArrayCloseV3", stateful=True)
def close(handle: Array) -> None:
    """Forget the values."""
    handle.values.clear()


@op(
    "TensorArrayGradV3", stateful=True,
    shape=lambda _node: [TensorShape([2]), TensorShape([])],
)  # fmt: skip
def gradient(handle: Array, flow: Any, *, source: str) -> Any:
    """The array of gradients that belongs to this one and ``source``, and its flow."""
    return handle.gradient(source), flow
