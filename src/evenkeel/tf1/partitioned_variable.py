"""Variables in several parts along one axis, each a variable of its own: ``v/part_0``, ``v/part_1``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from evenkeel.tf1.build import apply, name_scope
from evenkeel.tf1.shapes import TensorShape
from evenkeel.tf1.stacks import get_default_graph


@dataclass(frozen=True)
class PartitionInfo:
    """What an initializer is told of the part that it fills."""

    full_shape: list[int]
    var_offset: list[int]


@dataclass(frozen=True)
class SaveSliceInfo:
    """Where a part lies in the whole."""

    full_name: str
    full_shape: list[int]
    var_offset: list[int]
    var_shape: list[int]

    @property
    def spec(self) -> str:
        """As a checkpoint writes it: the whole's shape, then offset and size along each axis.

        >>> SaveSliceInfo("w", [4, 3], [2, 0], [2, 3]).spec
        '4 3 2,2:0,3'
        """
        parts = zip(self.var_offset, self.var_shape, strict=True)
        whole = " ".join(map(str, self.full_shape))
        return f"{whole} {':'.join(f'{start},{size}' for start, size in parts)}"


class PartitionedVariable:
    """The parts in order; as a tensor, all of them side by side.

    A checkpoint has the whole under its own name, in slices.
    """

    def __init__(self, name: str, shape: list[int], parts: list[Any], axis: int) -> None:
        self._name, self._parts, self._axis = name, parts, axis
        self._shape = TensorShape(shape)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def name(self) -> str:
        """The name of the whole."""
        return self._name

    @property
    def dtype(self) -> Any:
        """The element type."""
        return self._parts[0].dtype

    @property
    def shape(self) -> TensorShape:
        """The shape of the whole."""
        return self._shape

    def get_shape(self) -> TensorShape:
        """The shape of the whole."""
        return self._shape

    def _get_variable_list(self) -> list[Any]:
        return self._parts

    def as_tensor(self) -> Any:
        """The parts side by side."""
        graph = get_default_graph()
        with graph.control_dependencies(None):
            with name_scope(f"{self._name}/ConcatPartitions/"):
                whole = apply("ConcatV2", list(self._parts), self._axis, name="concat")
            with name_scope(None):
                return apply("Identity", whole, name=self._name)

    def _dense_var_to_tensor(
        self, dtype: Any = None, name: Any = None, as_ref: bool = False
    ) -> Any:
        if as_ref:
            raise NotImplementedError(
                "PartitionedVariable doesn't support being used as a reference."
            )
        return self.as_tensor()

    def assign(self, value: Any, use_locking: bool = False, name: Any = None) -> list[Any]:
        """Each part's share of ``value``."""
        return self._each("assign", value, use_locking, name)

    def assign_add(self, value: Any, use_locking: bool = False, name: Any = None) -> list[Any]:
        """Each part's share of ``value``, added."""
        return self._each("assign_add", value, use_locking, name)

    def assign_sub(self, value: Any, use_locking: bool = False, name: Any = None) -> list[Any]:
        """Each part's share of ``value``, taken away."""
        return self._each("assign_sub", value, use_locking, name)

    def _each(self, method: str, value: Any, use_locking: bool, name: Any) -> list[Any]:
        sizes = [part.shape.sizes[self._axis] for part in self._parts]
        shares = apply("SplitV", value, sizes, self._axis, num_split=len(sizes))
        pairs = zip(self._parts, shares, strict=True)
        return [getattr(part, method)(s, use_locking=use_locking, name=name) for part, s in pairs]


def partitioned(
    name: str, shape: TensorShape, dtype: Any, partitioner: Any, part: Callable[..., Any]
) -> PartitionedVariable:
    """The whole, from its parts, each made by ``part(name, shape, info)``."""
    if not shape.is_fully_defined():
        raise ValueError(
            f"Shape of a new partitioned variable ({name}) must be fully defined, but instead was "
            f"{shape}."
        )
    sizes: Any = shape.as_list()
    axis, count = _axis_and_count(sizes, partitioner(shape=shape, dtype=dtype))
    each, more = divmod(sizes[axis], count)
    parts, offset = [], 0
    for index in range(count):
        length = each + (index < more)
        own = [length if a == axis else s for a, s in enumerate(sizes)]
        start = [offset if a == axis else 0 for a in range(len(sizes))]
        made = part(f"{name}/part_{index}", own, PartitionInfo(sizes, start))
        made._save_slice_info = SaveSliceInfo(name, sizes, start, own)
        parts.append(made)
        offset += length
    return PartitionedVariable(name, sizes, parts, axis)


def _axis_and_count(sizes: list[int], counts: Any) -> tuple[int, int]:
    if len(counts) != len(sizes):
        raise ValueError(
            f"Partitioner returned a partition list that does not match the Variable's rank: {counts} "
            f"vs. {sizes}"
        )
    if any(count < 1 for count in counts):
        raise ValueError(f"Partitioner returned zero partitions for some axes: {counts}")
    split = [axis for axis, count in enumerate(counts) if count > 1]
    if len(split) > 1:
        raise ValueError(
            f"Can only slice a variable along one dimension: shape: {tuple(sizes)}, partitioning: "
            f"{list(counts)}"
        )
    axis = split[0] if split else 0
    return axis, int(counts[axis])
