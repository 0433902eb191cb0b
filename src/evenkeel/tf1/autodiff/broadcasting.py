"""Which axes of a gradient to sum where two operands were broadcast together."""

from dataclasses import dataclass
from typing import Any

from evenkeel.tf1.api.arrays import reshape, shape, shape_of
from evenkeel.tf1.api.reductions import reduce_sum
from evenkeel.tf1.build import apply
from evenkeel.tf1.fold import folded
from evenkeel.tf1.nodes import Tensor

_KEY = ("__broadcast_axes",)  # a collection of the graph: sizes of two operands -> axes to sum


@dataclass(frozen=True)
class Operand:
    """The sizes of one operand and the axes to sum; nothing to sum where the sizes are the result's."""

    sizes: Any
    axes: Any
    reduces: bool = True

    def gradient(self, value: Any) -> Any:
        """``value`` summed to the operand's shape."""
        return reshape(reduce_sum(value, self.axes), self.sizes) if self.reduces else value


def equal_and_known(*tensors: Any) -> bool:
    """Whether all are tensors of one shape that is known."""
    if not all(isinstance(t, Tensor) for t in tensors):
        return False
    first = tensors[0].shape
    return first.is_fully_defined() and all(t.shape._sizes == first._sizes for t in tensors)


def operands(x: Tensor, y: Tensor) -> tuple[Operand, Operand]:
    """Both operands, found when the graph runs."""
    return _run_time(shape(x), shape(y))


def _run_time(sx: Any, sy: Any) -> tuple[Operand, Operand]:
    rx, ry = apply("BroadcastGradientArgs", sx, sy)
    return Operand(sx, rx), Operand(sy, ry)


def smart_operands(x: Tensor, y: Tensor, grad: Any) -> tuple[Operand, Operand]:
    """Both operands, found while building where all sizes are known."""
    if not isinstance(grad, Tensor):
        return operands(x, y)
    if not (x.shape.is_fully_defined() and y.shape.is_fully_defined()):
        return _run_time(shape_of(x, optimize=False), shape_of(y, optimize=False))
    rx, ry = _known_axes(x, y)
    sx, sy = tuple(x.shape.as_list()), tuple(y.shape.as_list())
    result = grad.shape._sizes
    return Operand(sx, rx, x.shape._sizes != result), Operand(sy, ry, y.shape._sizes != result)


def _known_axes(x: Tensor, y: Tensor) -> Any:
    """The axes of two known shapes; TensorFlow makes one node for each new pair of shapes."""
    graph = x.graph
    kept = graph.get_collection_ref(_KEY)
    if not kept:
        kept.append({})
    pair = tuple(x.shape.as_list()), tuple(y.shape.as_list())
    if pair not in kept[0]:
        made = apply("BroadcastGradientArgs", list(pair[0]), list(pair[1]))
        kept[0][pair] = tuple(tuple(int(v) for v in folded(t)) for t in made)
    return kept[0][pair]
