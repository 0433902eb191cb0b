"""Static shapes: dimensions that may be unknown, ranks that may be unknown."""

from collections.abc import Iterable, Iterator
from typing import Any, Union

Size = Union["Dimension", int, None]
ShapeLike = Union["TensorShape", Iterable[Any], int, None]


class Dimension:
    """One size, or None where it is unknown; arithmetic with an unknown size is unknown.

    >>> Dimension(3) * 2, Dimension(None) + 1, Dimension(3) == 3
    (Dimension(6), Dimension(None), True)
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value: int | None = _size(value)
        if self.value is not None and self.value < 0:
            raise ValueError(f"Dimension {self.value} must be >= 0")

    def __repr__(self) -> str:
        return f"Dimension({self.value})"

    def __str__(self) -> str:
        return "?" if self.value is None else str(self.value)

    def __eq__(self, other: object) -> Any:  # None, where either is unknown
        try:
            there = _size(other)
        except (TypeError, ValueError):
            return NotImplemented
        return None if self.value is None or there is None else self.value == there

    def __ne__(self, other: object) -> Any:
        same = self.__eq__(other)
        return same if same is NotImplemented or same is None else not same

    def __hash__(self) -> int:
        return hash(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __int__(self) -> int:
        return self.value  # type: ignore[return-value]  # int() itself refuses None

    __index__ = __int__

    def _with(self, other: Any, combine: Any, reverse: bool = False) -> "Dimension":
        there = _size(other)
        if self.value is None or there is None:
            return Dimension(None)
        return Dimension(combine(there, self.value) if reverse else combine(self.value, there))

    def __add__(self, other: Any) -> "Dimension":
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> "Dimension":
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> "Dimension":
        return self._with(other, lambda a, b: a - b, reverse=True)

    def __mul__(self, other: Any) -> "Dimension":
        return self._with(other, lambda a, b: a * b)

    def __floordiv__(self, other: Any) -> "Dimension":
        return self._with(other, lambda a, b: a // b)

    def __rfloordiv__(self, other: Any) -> "Dimension":
        return self._with(other, lambda a, b: a // b, reverse=True)

    def __mod__(self, other: Any) -> "Dimension":
        return self._with(other, lambda a, b: a % b)

    __radd__, __rmul__, __div__ = __add__, __mul__, __floordiv__

    def _compare(self, other: Any, test: Any) -> bool | None:
        there = _size(other)
        return None if self.value is None or there is None else bool(test(self.value, there))

    def __lt__(self, other: Any) -> bool | None:
        return self._compare(other, lambda a, b: a < b)

    def __le__(self, other: Any) -> bool | None:
        return self._compare(other, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> bool | None:
        return self._compare(other, lambda a, b: a > b)

    def __ge__(self, other: Any) -> bool | None:
        return self._compare(other, lambda a, b: a >= b)

    def is_compatible_with(self, other: Any) -> bool:
        """Whether the two can be the same size."""
        return self.value is None or _size(other) in (None, self.value)

    def merge_with(self, other: Any) -> "Dimension":
        """The size that both say; ValueError when they differ."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Dimensions {self} and {Dimension(other)} are not compatible")
        return Dimension(other) if self.value is None else self

    def assert_is_compatible_with(self, other: Any) -> None:
        """ValueError when the two cannot be the same size."""
        self.merge_with(other)


def _size(value: Any) -> int | None:
    if value is None or isinstance(value, int):
        return value
    return value.value if isinstance(value, Dimension) else int(value.__index__())


class TensorShape:
    """Sizes of a tensor, each possibly unknown; ``TensorShape(None)`` has unknown rank.

    >>> TensorShape([None, 784]).as_list(), TensorShape(None).ndims, str(TensorShape([None, 4]))
    ([None, 784], None, '(?, 4)')
    """

    __slots__ = ("_sizes",)

    def __init__(self, dims: Any = None) -> None:
        self._sizes: tuple[int | None, ...] | None
        if dims is None:
            self._sizes = None
        elif isinstance(dims, TensorShape):
            self._sizes = dims._sizes
        elif isinstance(dims, int | Dimension) or hasattr(dims, "__index__"):
            self._sizes = (Dimension(dims).value,)
        elif isinstance(dims, str):
            raise TypeError(f"A shape is a list of sizes, not the text {dims!r}")
        elif hasattr(dims, "dim"):
            self._sizes = _of_proto(dims)
        else:
            self._sizes = tuple(Dimension(d).value for d in dims)

    @property
    def dims(self) -> list[Dimension] | None:
        """The dimensions, None where the rank is unknown."""
        return None if self._sizes is None else [Dimension(s) for s in self._sizes]

    @property
    def ndims(self) -> int | None:
        """The rank, None where it is unknown."""
        return None if self._sizes is None else len(self._sizes)

    rank = ndims

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """The sizes as plain values; ValueError where the rank is unknown."""
        if self._sizes is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return self._sizes

    def as_list(self) -> list[int | None]:
        """The sizes, None for an unknown one."""
        return list(self.sizes)

    def is_fully_defined(self) -> bool:
        """Whether rank and every size are known."""
        return self._sizes is not None and None not in self._sizes

    def num_elements(self) -> int | None:
        """The product of the sizes, None where one is unknown."""
        if not self.is_fully_defined():
            return None
        product = 1
        for size in self.sizes:
            product *= size or 0
        return product

    def __len__(self) -> int:
        if self._sizes is None:
            raise ValueError("Cannot take the length of shape with unknown rank.")
        return len(self._sizes)

    def __bool__(self) -> bool:
        return self._sizes is not None

    def __iter__(self) -> Iterator[Dimension]:
        if self._sizes is None:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        return iter([Dimension(s) for s in self._sizes])

    def __getitem__(self, key: Any) -> Any:
        if self._sizes is not None:
            found = self._sizes[key]
            return TensorShape(found) if isinstance(key, slice) else Dimension(found)
        if not isinstance(key, slice):
            return Dimension(None)
        start, stop = key.start or 0, key.stop
        return unknown_shape(None if stop is None or start < 0 or stop < 0 else stop - start)

    def __eq__(self, other: object) -> bool:
        try:
            there = as_shape(other)
        except (TypeError, ValueError):
            return NotImplemented
        return self._sizes == there._sizes

    def __ne__(self, other: object) -> bool:
        there = as_shape(other)
        if self._sizes is None or there._sizes is None:
            raise ValueError("The inequality of unknown TensorShapes is undefined.")
        return self._sizes != there._sizes

    def __hash__(self) -> int:
        return hash(self._sizes)

    def __repr__(self) -> str:
        return f"TensorShape({None if self._sizes is None else self.dims})"

    def __str__(self) -> str:
        if self._sizes is None:
            return "<unknown>"
        inner = ", ".join(str(d) for d in self)
        return f"({inner},)" if len(self) == 1 else f"({inner})"

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorShape, (self._sizes,)

    def concatenate(self, other: Any) -> "TensorShape":
        """This shape followed by the other."""
        there = as_shape(other)
        if self._sizes is None or there._sizes is None:
            return TensorShape(None)
        return TensorShape(self._sizes + there._sizes)

    def is_compatible_with(self, other: Any) -> bool:
        """Whether one tensor can have both shapes."""
        there = as_shape(other)
        if self._sizes is None or there._sizes is None:
            return True
        pairs = zip(self._sizes, there._sizes, strict=False)
        return len(self) == len(there) and all(a is None or b in (None, a) for a, b in pairs)

    def assert_is_compatible_with(self, other: Any) -> None:
        """ValueError when no tensor can have both shapes."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {as_shape(other)} are incompatible")

    def merge_with(self, other: Any) -> "TensorShape":
        """What both say together; ValueError where they differ."""
        there = as_shape(other)
        if not self.is_compatible_with(there):
            raise ValueError(f"Shapes {self} and {there} are not compatible")
        if self._sizes is None or there._sizes is None:
            return there if self._sizes is None else self
        pairs = zip(self._sizes, there._sizes, strict=True)
        return TensorShape([b if a is None else a for a, b in pairs])

    def with_rank(self, rank: int) -> "TensorShape":
        """This shape, known to have ``rank`` dimensions."""
        try:
            return self.merge_with(unknown_shape(rank))
        except ValueError:
            raise ValueError(f"Shape {self} must have rank {rank}") from None

    def with_rank_at_least(self, rank: int) -> "TensorShape":
        """This shape; ValueError when its rank is known and smaller."""
        if self._sizes is not None and len(self._sizes) < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}")
        return self

    def with_rank_at_most(self, rank: int) -> "TensorShape":
        """This shape; ValueError when its rank is known and larger."""
        if self._sizes is not None and len(self._sizes) > rank:
            raise ValueError(f"Shape {self} must have rank at most {rank}")
        return self

    def assert_has_rank(self, rank: int) -> None:
        """ValueError when the rank is known and another."""
        if self._sizes is not None and len(self._sizes) != rank:
            raise ValueError(f"Shape {self} must have rank {rank}")

    def assert_is_fully_defined(self) -> None:
        """ValueError when a size is unknown."""
        if not self.is_fully_defined():
            raise ValueError(f"Shape {self} is not fully defined")


def _of_proto(proto: Any) -> tuple[int | None, ...] | None:
    if getattr(proto, "unknown_rank", False):
        return None
    return tuple(None if d.size == -1 else d.size for d in proto.dim)


def as_shape(value: Any) -> TensorShape:
    """The TensorShape of anything that can be one."""
    return value if isinstance(value, TensorShape) else TensorShape(value)


def unknown_shape(rank: int | None = None) -> TensorShape:
    """A shape of unknown sizes; of unknown rank too unless ``rank`` is given."""
    return TensorShape(None if rank is None else [None] * rank)


def bracketed(shape: TensorShape) -> str:
    """The form in messages of TensorFlow's C++ side: ``[?,4]``."""
    if shape.ndims is None:
        return "?"
    return "[" + ",".join(str(d) for d in shape) + "]"


def broadcast_static(a: Any, b: Any) -> TensorShape:
    """The shape of two tensors broadcast together; ValueError where they do not fit.

    >>> str(broadcast_static([None, 3], [5, 1]))
    '(5, 3)'
    """
    x, y = as_shape(a), as_shape(b)
    if x.ndims is None or y.ndims is None:
        return unknown_shape()
    rank = max(len(x), len(y))
    left: Any = (1,) * (rank - len(x)) + x.sizes
    right: Any = (1,) * (rank - len(y)) + y.sizes
    out: list[int | None] = []
    for i, j in zip(left, right, strict=True):
        if None not in (i, j) and 1 not in (i, j) and i != j:
            raise ValueError(f"Incompatible shapes for broadcasting: {x} and {y}")
        out.append(j if i == 1 else i if j in (1, None) else j)
    return TensorShape(out)


def conflict(a: TensorShape, b: TensorShape) -> str | None:
    """Why no tensor can have both shapes, in TensorFlow's words; None where one can.

    >>> conflict(TensorShape([None, 3]), TensorShape([2, 5]))
    'Dimension 1 in both shapes must be equal, but are 3 and 5. Shapes are [?,3] and [2,5].'
    """
    if a.ndims is None or b.ndims is None:
        return None
    if a.ndims != b.ndims:
        return f"Shapes must be equal rank, but are {a.ndims} and {b.ndims}"
    for index, (x, y) in enumerate(zip(a.sizes, b.sizes, strict=True)):
        if x is not None and y is not None and x != y:
            return (
                f"Dimension {index} in both shapes must be equal, but are {x} and {y}. "
                f"Shapes are {bracketed(a)} and {bracketed(b)}."
            )
    return None
