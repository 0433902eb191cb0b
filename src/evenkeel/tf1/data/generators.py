"""Elements that a Python generator yields."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from evenkeel.tf1 import errors
from evenkeel.tf1.data import structure
from evenkeel.tf1.dtypes import DType
from evenkeel.tf1.values import to_torch


class Generator:
    """A function that begins a pass: values checked against types and shapes."""

    name = "generator"

    def __init__(self, generator: Callable[..., Any], types: Any, spec: Any) -> None:
        self._generator, self._types, self._spec = generator, types, spec

    def __call__(self, args: list[Any], device: Any) -> Iterator[tuple[Any, ...]]:
        """The elements of one pass."""
        return (self._element(values, device) for values in self._generator(*args))

    def _element(self, values: Any, device: Any) -> tuple[Any, ...]:
        try:
            flat = structure.flatten_up_to(self._types, values)
        except (TypeError, ValueError):
            raise _refused(
                "yielded an element that did not match the expected structure. The expected "
                f"structure was {self._types}, but the yielded element was {values}."
            ) from None
        specs = structure.flatten(self._spec)
        return tuple([_value(v, s, device) for v, s in zip(flat, specs, strict=True)])


def _value(value: Any, spec: Any, device: Any) -> Any:
    try:
        array = _array(value, spec.dtype)
    except (TypeError, ValueError):
        raise _refused(
            "yielded an element that could not be converted to the expected type. The expected "
            f"type was {spec.dtype.name}, but the yielded element was {value}."
        ) from None
    if not spec.shape.is_compatible_with(array.shape):
        raise _refused(
            f"yielded an element of shape {array.shape} where an element of shape {spec.shape} was "
            "expected."
        )
    return to_torch(array, spec.dtype, device)


def _array(value: Any, kind: DType) -> Any:
    if not kind.has_torch:
        array = np.asarray(value, dtype=object)
        encoded = [v.encode() if isinstance(v, str) else v for v in array.reshape(-1)]
        made = np.empty(len(encoded), object)
        made[:] = encoded
        return made.reshape(array.shape)
    return np.asarray(value, dtype=kind.as_numpy_dtype)


def _refused(words: str) -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(None, None, f"`generator` {words}")
