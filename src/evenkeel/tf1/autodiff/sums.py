"""Several gradients of one tensor become one: AddN, or the rows of IndexedSlices one after another."""

from typing import Any

from evenkeel.tf1.build import apply
from evenkeel.tf1.nodes import IndexedSlices, Tensor


class Sums:
    """The gradients that arrived so far, by tensor."""

    def __init__(self) -> None:
        self._found: dict[Tensor, list[Any]] = {}

    def put(self, tensor: Tensor, gradient: Any) -> None:
        """One more gradient of ``tensor``."""
        self._found.setdefault(tensor, []).append(gradient)

    def has(self, tensor: Tensor) -> bool:
        """Whether any gradient of ``tensor`` arrived."""
        return bool(self._found.get(tensor))

    def take(self, tensor: Tensor) -> Any:
        """All gradients of ``tensor`` as one; None where none arrived."""
        listed = self._found.get(tensor)
        if not listed:
            return None
        if len(listed) > 1:
            dense = all(isinstance(g, Tensor) for g in listed)
            listed = [_added(listed) if dense else joined(listed)]
            self._found[tensor] = listed
        return listed[0]


def _added(gradients: list[Tensor]) -> Any:
    """Their sum, beside the first."""
    with gradients[0].graph.colocate_with(gradients[0].op, ignore_existing=True):
        return apply("AddN", gradients)


def joined(gradients: list[Any]) -> Any:
    """Rows one after another; a dense gradient among them makes the sum dense."""
    if any(isinstance(g, Tensor) for g in gradients):
        return apply("AddN", gradients)
    from evenkeel.tf1.api.arrays import concat

    values = concat([g.values for g in gradients], 0)
    indices = concat([g.indices for g in gradients], 0)
    return IndexedSlices(values, indices, gradients[0].dense_shape)
