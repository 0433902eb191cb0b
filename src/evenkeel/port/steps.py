"""What the ported network is made of: values in torch's order of axes, and the steps between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenkeel.tf1.nodes import Tensor

Array = NDArray[Any]  # float32 or float64, as the graph has it
Argument = int | float | bool | str | tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph as the module has it.

    ``shape`` is the graph's, with -1 for the batch. ``axes``: axis i of the module's tensor is axis
    axes[i] of the graph's. ``order``: sizes (h, w, c) where the module flattened [c, h, w] and the
    graph [h, w, c].
    """

    number: int
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    order: tuple[int, ...] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether axes and features stand as in the graph."""
        return self.order is None and self.axes == tuple(range(len(self.axes)))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape as the module has it."""
        return tuple(self.shape[a] for a in self.axes)

    def place(self, axis: int) -> int:
        """Where the module has the graph's ``axis``."""
        return self.axes.index(axis % len(self.shape))


@dataclass(frozen=True, slots=True)
class Call:
    """A constructor and its arguments; those that equal ``defaults`` are not written.

    ``positional`` names those written without a keyword; they come first.
    """

    name: str
    arguments: Mapping[str, Argument]
    positional: tuple[str, ...] = ()
    defaults: Mapping[str, Argument] = field(default_factory=dict)


@dataclass(slots=True)
class Step:
    """One line of forward: ``template`` with the layer and the inputs put in.

    ``kind`` is the noun that names come from. ``pads`` are zeros before and behind each image axis,
    written into the layer where torch can say them. ``tensors`` are the layer's, by name; ``owners``
    the graph's variables that they come from.
    """

    kind: str
    inputs: tuple[int, ...]
    output: int
    template: str
    call: Call | None = None
    pads: tuple[tuple[int, int], ...] = ()
    tensors: dict[str, Array] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    at: str = ""
    source: Tensor | None = None  # of a norm: what it normalizes in the graph, its channel axes,
    axes: tuple[int, ...] = (-1,)  # and the order of its features
    order: tuple[int, ...] | None = None


def features_last(vector: Array, order: tuple[int, ...] | None) -> Array:
    """Rows that count features as the graph flattened them, in the module's order.

    >>> features_last(np.arange(4), (2, 1, 2))
    array([0, 2, 1, 3])
    """
    if order is None:
        return vector
    cut = vector.reshape(*order, *vector.shape[1:])
    moved = np.moveaxis(cut, len(order) - 1, 0)
    return moved.reshape(vector.shape)
