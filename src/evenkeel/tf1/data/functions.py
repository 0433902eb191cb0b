"""Python functions of elements, traced once."""

from collections.abc import Callable
from typing import Any, NamedTuple

from evenkeel.tf1.build import convert
from evenkeel.tf1.data import structure
from evenkeel.tf1.data.structure import DatasetSpec
from evenkeel.tf1.function_graph import Function, trace
from evenkeel.tf1.nodes import Tensor


class MappedFunction(NamedTuple):
    """A traced function and the spec of what it gives."""

    function: Function
    spec: Any

    @property
    def captured(self) -> list[Tensor]:
        """The tensors outside that it reads."""
        return self.function.captured

    @property
    def attrs(self) -> dict[str, Any]:
        """How a node says what comes out: ``spec``, for the dataset of these elements."""
        inner = self.spec.element if isinstance(self.spec, DatasetSpec) else self.spec
        return {"spec": inner, "captured": self.captured}


def as_function(function: Callable[..., Any], spec: Any, where: str) -> MappedFunction:
    """A function of elements of this spec; a tuple comes as several arguments."""
    found: list[Any] = []

    def run(*tensors: Tensor) -> list[Tensor]:
        element = structure.pack(spec, list(tensors))
        plain = isinstance(element, tuple) and not hasattr(element, "_fields")
        result = function(*element) if plain else function(element)
        result = tuple(result) if isinstance(result, list) else result
        if result is None:
            raise TypeError(f"Unsupported return value from function passed to {where}: {result}.")
        leaves = [
            leaf if hasattr(leaf, "_spec_of") else convert(leaf)
            for leaf in structure.flatten(result)
        ]
        found.append(structure.spec_of(structure.pack(result, leaves)))
        return structure.flat_tensors(tuple(leaves))

    traced = trace(run, structure.flatten(spec))
    return MappedFunction(traced, found[0])
