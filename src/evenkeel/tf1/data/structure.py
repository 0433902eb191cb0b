"""Elements of datasets: nested tuples and dictionaries of tensors, and what is known of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from evenkeel.tf1.build import convert, name_scope
from evenkeel.tf1.dtypes import DType, as_dtype
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import TensorShape, as_shape


@dataclass(frozen=True)
class TensorSpec:
    """One component: its type and static shape."""

    shape: TensorShape
    dtype: DType

    def batched(self, size: int | None) -> "TensorSpec":
        """Several of these in one."""
        return TensorSpec(TensorShape([size]).concatenate(self.shape), self.dtype)


@dataclass(frozen=True)
class DatasetSpec:
    """A component that is a dataset of such elements."""

    element: Any
    shape: TensorShape = TensorShape([])  # noqa: RUF009  # a value, never changed
    dtype: DType = as_dtype("variant")  # noqa: RUF009


def is_nested(value: Any) -> bool:
    """Whether a value is looked into: tuples and dictionaries are, lists become tensors."""
    return isinstance(value, tuple | dict)


def parts(value: Any) -> list[Any]:
    """The parts of a nested value: those of a dictionary by its sorted keys."""
    return [value[k] for k in sorted(value)] if isinstance(value, dict) else list(value)


def flatten(value: Any) -> list[Any]:
    """The leaves, in order."""
    if not is_nested(value):
        return [value]
    return [leaf for part in parts(value) for leaf in flatten(part)]


def pack(like: Any, leaves: list[Any]) -> Any:
    """Leaves in the nesting of another value."""
    return _packed(like, iter(leaves))


def _packed(like: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(like, dict):
        made = {key: _packed(like[key], leaves) for key in sorted(like)}
        return type(like)((key, made[key]) for key in like)
    if isinstance(like, tuple):
        inner = [_packed(part, leaves) for part in like]
        return type(like)(*inner) if hasattr(like, "_fields") else tuple(inner)
    return next(leaves)


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """``function`` of each leaf."""
    return pack(value, [function(leaf) for leaf in flatten(value)])


def flatten_up_to(like: Any, value: Any) -> list[Any]:
    """What stands in ``value`` where ``like`` has its leaves; TypeError where they do not match."""
    if not is_nested(like):
        return [value]
    same = isinstance(value, dict) if isinstance(like, dict) else isinstance(value, tuple | list)
    if not same:
        raise TypeError(
            "If shallow structure is a sequence, input must also be a sequence. "
            f"Input has type: {type(value)}."
        )
    if len(value) != len(like) or (isinstance(like, dict) and set(like) != set(value)):
        raise ValueError(
            "The two structures don't have the same sequence length. Input structure has length "
            f"{len(value)}, while shallow structure has length {len(like)}."
        )
    pairs = zip(parts(like), parts(value), strict=True)
    return [leaf for part, inner in pairs for leaf in flatten_up_to(part, inner)]


def specs_of(types: Any, shapes: Any) -> Any:
    """Specs from nested types and, in the same nesting, shapes (None: nothing is known)."""
    flat = flatten(types)
    sizes = [None] * len(flat) if shapes is None else flatten_up_to(types, shapes)
    made = [TensorSpec(as_shape(s), as_dtype(t)) for t, s in zip(flat, sizes, strict=True)]
    return pack(types, made)


def spec_of(value: Any) -> Any:
    """The spec of an element."""
    return mapped(lambda leaf: leaf._spec_of() if hasattr(leaf, "_spec_of") else _of(leaf), value)


def _of(tensor: Tensor) -> TensorSpec:
    return TensorSpec(tensor.shape, tensor.dtype.base_dtype)


def normalized(element: Any) -> Any:
    """An element whose leaves are tensors."""
    with name_scope("normalize_element"):
        leaves = [
            leaf if hasattr(leaf, "_spec_of") else convert(leaf, name=f"component_{i}")
            for i, leaf in enumerate(flatten(element))
        ]
    return pack(element, leaves)


def flat_tensors(element: Any) -> list[Tensor]:
    """The leaves as tensors: a dataset as its variant, any other value converted."""
    return [
        leaf._variant_tensor if hasattr(leaf, "_variant_tensor") else convert(leaf)
        for leaf in flatten(element)
    ]


def attrs_of(spec: Any) -> dict[str, Any]:
    """The attributes ``output_types`` and ``output_shapes`` of a spec."""
    flat = flatten(spec)
    return {"output_types": [s.dtype for s in flat], "output_shapes": [s.shape for s in flat]}


def check_compatible(there: Any, given: Any) -> None:
    """TypeError unless elements of ``given`` can come where those of ``there`` are expected."""
    types = [mapped(lambda s: s.dtype, spec) for spec in (there, given)]
    shapes = [mapped(lambda s: s.shape, spec) for spec in (there, given)]
    try:
        wanted = flatten_up_to(there, given)
    except ValueError as error:
        raise TypeError(str(error)) from None
    pairs = list(zip(flatten(there), wanted, strict=True))
    if any(a.dtype != b.dtype for a, b in pairs):
        raise TypeError(
            f"Expected output types {types[0]!r} but got dataset with output types {types[1]!r}."
        )
    if not all(a.shape.is_compatible_with(b.shape) for a, b in pairs):
        raise TypeError(
            f"Expected output shapes compatible with {shapes[0]!r} but got dataset with output "
            f"shapes {shapes[1]!r}."
        )


class Structured:
    """What gives elements of one structure: a dataset, an iterator."""

    _spec: Any

    @property
    def element_spec(self) -> Any:
        """Type and static shape of each component."""
        return self._spec

    @property
    def output_types(self) -> Any:
        """The types of the components."""
        return mapped(lambda s: s.dtype, self._spec)

    @property
    def output_shapes(self) -> Any:
        """The static shapes of the components."""
        return mapped(lambda s: s.shape, self._spec)

    @property
    def output_classes(self) -> Any:
        """The classes of the components."""
        return mapped(lambda _: Tensor, self._spec)
