"""Building nodes: values become tensors, attributes are inferred, the node is named.

``apply`` is what every function of the API calls. Names of what it converts are those of the
signature's arguments, inside the scope of the new node, as in TensorFlow.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from evenkeel.tf1 import dtypes, literal
from evenkeel.tf1.dtypes import DType, as_dtype
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.infer import shapes_of
from evenkeel.tf1.nodes import IndexedSlices, Operation, Tensor
from evenkeel.tf1.ops.signature import NO_DEFAULT, Arg, Attr, Signature, output_dtypes, signature
from evenkeel.tf1.shapes import TensorShape
from evenkeel.tf1.stacks import get_default_graph


def graph_of(values: Any) -> Graph:
    """The graph of the first tensor among ``values``, or the default graph."""
    if (default := get_default_graph()).building_function:
        return default  # tensors from outside are captured
    for value in values:
        inner = value[0] if isinstance(value, list | tuple) and value else value
        inner = inner._as_graph_element() if hasattr(inner, "_as_graph_element") else inner
        if isinstance(inner, Tensor | Operation | IndexedSlices):
            return inner.graph
    return default


@contextmanager
def name_scope(name: str | None, default: str | None = None, values: Any = None) -> Iterator[str]:
    """A name scope in the graph of ``values``; ``default`` is its name where none is given."""
    chosen = default if name is None else name
    graph = graph_of(values or ())
    with graph.as_default(), graph.name_scope(chosen) as scope:
        yield scope


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str = "Const") -> Tensor:
    """A Const node."""
    wanted = None if dtype is None else as_dtype(dtype)
    array = literal.as_array(value, wanted, shape)
    kind = wanted or literal.dtype_of(array)
    graph = get_default_graph()
    attrs = {"value": array, "dtype": kind}
    known = [TensorShape(array.shape)]
    return graph.create_op("Const", [], [kind], name, attrs, lambda _: known).outputs[0]


def convert(
    value: Any,
    dtype: Any = None,
    name: str | None = None,
    preferred: Any = None,
    as_ref: bool = False,
) -> Tensor:
    """A tensor of a value: itself, a variable's value, packed tensors, or a constant."""
    wanted = None if dtype is None else as_dtype(dtype)
    if hasattr(value, "_dense_var_to_tensor"):
        value = value._dense_var_to_tensor(dtype=wanted, name=name, as_ref=as_ref)
    elif hasattr(value, "_as_graph_element"):
        value = value._as_graph_element()
    if isinstance(value, Tensor):
        return _of_dtype(value, wanted)
    if isinstance(value, list | tuple) and _holds_tensor(value):
        return pack(list(value), wanted, name or "packed")
    if isinstance(value, IndexedSlices):
        return _densified(value, name)
    return _literal(value, wanted, name or "Const", preferred)


def _of_dtype(tensor: Tensor, wanted: DType | None) -> Tensor:
    if wanted is not None and not wanted.is_compatible_with(tensor.dtype):
        raise ValueError(
            f"Tensor conversion requested dtype {wanted.name} for Tensor with dtype "
            f"{tensor.dtype.name}: {str(tensor)!r}"
        )
    return tensor


def _literal(value: Any, wanted: DType | None, name: str, preferred: Any) -> Tensor:
    if wanted is None and preferred is not None and not isinstance(value, np.ndarray | np.generic):
        try:
            return constant(value, preferred, name=name)
        except (TypeError, ValueError):
            pass  # the preference does not fit: the value's own type is taken
    return constant(value, wanted, name=name)


def _densified(slices: IndexedSlices, name: str | None) -> Tensor:
    if slices.dense_shape is None:
        raise ValueError(
            f"Tensor conversion requested for IndexedSlices without dense_shape: {slices.name!r}"
        )
    inputs = [slices.values, slices.indices, slices.dense_shape[0]]
    return apply("UnsortedSegmentSum", *inputs, name=name)  # type: ignore[no-any-return]


def _holds_tensor(values: Any) -> bool:
    return any(_holds_tensor(v) if isinstance(v, list | tuple) else _is_tensor(v) for v in values)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or hasattr(value, "_dense_var_to_tensor")


def pack(values: list[Any], dtype: DType | None, name: str) -> Tensor:
    """A list that holds tensors, as one: what ``[a, 3, b]`` means where a tensor is asked for."""
    kind = dtype or _first_dtype(values)
    with name_scope(name) as scope:
        parts: list[Tensor] = []
        for index, value in enumerate(values):
            if isinstance(value, list | tuple) and _holds_tensor(value):
                parts.append(pack(list(value), kind, str(index)))
            else:
                parts.append(convert(value, kind, name=None if _is_tensor(value) else str(index)))
        return apply("Pack", parts, name=scope)  # type: ignore[no-any-return]


def _first_dtype(values: Any) -> DType | None:
    for value in values:
        if isinstance(value, list | tuple):
            if (found := _first_dtype(value)) is not None:
                return found
        elif _is_tensor(value):
            return value.dtype.base_dtype  # type: ignore[no-any-return]
    return None


def convert_many(
    values: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> list[Tensor]:
    """One tensor for each value, named ``name_0``, ``name_1``, ..."""
    return [
        convert(v, dtype, f"{name}_{i}" if name else None, as_ref=as_ref)
        for i, v in enumerate(values)
    ]


class _Building:
    """One node under construction: the attributes decided so far."""

    def __init__(self, row: Signature, attrs: dict[str, Any]) -> None:
        self.row, self.attrs = row, attrs

    def take(self, arg: Arg, value: Any) -> list[Tensor]:
        """Convert what was given for one argument, and note what it decides."""
        return self._list(arg, value) if arg.is_list else [self._one(arg, value)]

    def _one(self, arg: Arg, value: Any) -> Tensor:
        wanted = arg.fixed or self.attrs.get(arg.kind)
        default = self._default(arg)
        try:
            tensor = convert(value, wanted, arg.name, preferred=default, as_ref=arg.ref)
        except (TypeError, ValueError) as error:
            raise self._refusal(arg, value, wanted, error) from None
        if arg.ref and not tensor.dtype.is_ref:
            raise TypeError(
                f"'{self.row.type}' Op requires that input '{arg.name}' be a mutable tensor "
                "(e.g.: a tf.Variable)"
            )
        self._note(arg, tensor)
        return tensor

    def _refusal(self, arg: Arg, value: Any, wanted: Any, error: Exception) -> Exception:
        kind = self.row.type
        if isinstance(value, Tensor) and wanted is not None:
            got = value.dtype.name
            if arg.fixed:
                return TypeError(
                    f"Input '{arg.name}' of '{kind}' Op has type {got} that does not match "
                    f"expected type of {wanted.name}."
                )
            other = next((a.name for a in self.row.inputs if a.kind == arg.kind), arg.name)
            return TypeError(
                f"Input '{arg.name}' of '{kind}' Op has type {got} that does not match type "
                f"{wanted.name} of argument '{other}'."
            )
        return error

    def _list(self, arg: Arg, values: Any) -> list[Tensor]:
        if not isinstance(values, list | tuple):
            raise TypeError(
                f"Expected list for '{arg.name}' argument to '{self.row.type}' Op, not {values}."
            )
        if arg.number:
            wanted = arg.fixed or self.attrs.get(arg.kind) or _first_dtype(values)
            tensors = convert_many(values, wanted, arg.name, arg.ref)
            if not tensors and wanted is None:
                raise ValueError(f"'{self.row.type}' needs at least one value for '{arg.name}'")
            self.attrs[arg.number] = len(tensors)
            for tensor in tensors[:1]:
                self._note(arg, tensor)
            return tensors
        tensors = convert_many(values, None, arg.name, arg.ref)
        self.attrs[arg.kind] = [t.dtype.base_dtype for t in tensors]
        return tensors

    def _default(self, arg: Arg) -> DType | None:
        attr = self.row.attrs.get(arg.kind)
        if attr is None or attr.default in (NO_DEFAULT, None):
            return None
        return as_dtype(attr.default)

    def _note(self, arg: Arg, tensor: Tensor) -> None:
        if not arg.kind:
            return
        kind = tensor.dtype.base_dtype
        allowed = self.row.attrs[arg.kind].allowed
        if allowed is not None and kind.name not in allowed:
            raise TypeError(
                f"Value passed to parameter '{arg.name}' has DataType {kind.name} not in list of "
                f"allowed values: {', '.join(allowed)}"
            )
        self.attrs[arg.kind] = kind

    def finish(self) -> None:
        """Defaults for what is left, and one form for every value."""
        for name, attr in self.row.attrs.items():
            if name in self.attrs:
                self.attrs[name] = formed(attr, self.attrs[name], name)
            elif attr.default is not NO_DEFAULT:
                self.attrs[name] = formed(attr, attr.default, name)
            else:
                raise TypeError(f"No argument for attr {name} in {self.row.type}")


def formed(attr: Attr, value: Any, name: str) -> Any:
    """An attribute's value in the one form of its kind."""
    if attr.kind == "type":
        return as_dtype(value)
    if attr.kind == "list(type)":
        return [as_dtype(v) for v in value]
    if attr.kind == "shape":
        return TensorShape(None) if isinstance(value, dict) else TensorShape(value)
    if attr.kind == "string":
        text = value.decode() if isinstance(value, bytes) else value
        if attr.allowed and text not in attr.allowed:
            listed = '", "'.join(attr.allowed)
            raise ValueError(f"Attr '{name}' passed string '{text}' not in: \"{listed}\".")
        return text
    if attr.kind in ("bool", "int", "float") and value is not None:
        return {"bool": bool, "int": int, "float": float}[attr.kind](value)
    return list(value) if attr.kind.startswith("list(") else value


def apply(kind: str, *inputs: Any, name: str | None = None, **attrs: Any) -> Any:
    """Build a node of type ``kind``; its output, the list of its outputs, or itself without any.

    Attributes that are None take their defaults.
    """
    op = build(kind, *inputs, name=name, **attrs)
    arguments = signature(kind).outputs
    if not arguments:
        return op
    if len(arguments) == 1:
        return list(op.outputs) if arguments[0].is_list else op.outputs[0]
    return _split(op, arguments)


def _split(op: Operation, arguments: tuple[Arg, ...]) -> list[Any]:
    rest, found = list(op.outputs), []
    for arg in arguments:
        count = 1
        if arg.is_list:
            count = op.attrs[arg.number] if arg.number else len(op.attrs[arg.kind])
        found.append(rest[:count] if arg.is_list else rest[0])
        rest = rest[count:]
    return found


def build(kind: str, *inputs: Any, name: str | None = None, **attrs: Any) -> Operation:
    """Build a node of type ``kind`` and give it back, whatever its outputs are."""
    row = signature(kind)
    state = _Building(row, _given(row, attrs))
    graph = graph_of(inputs)
    with ExitStack() as stack:
        stack.enter_context(graph.as_default())
        scope = stack.enter_context(graph.name_scope(name or kind))
        tensors: list[Tensor] = []
        together: list[Tensor] = []
        for arg, value in zip(row.inputs, inputs, strict=True):
            taken = state.take(arg, value)
            tensors += taken
            together += taken if arg.ref else []
        state.finish()
        for tensor in together:
            stack.enter_context(graph.colocate_with(tensor))
        types = output_dtypes(kind, state.attrs)
        return graph.create_op(kind, tensors, types, scope, state.attrs, shapes_of)


def _given(row: Signature, attrs: dict[str, Any]) -> dict[str, Any]:
    given = {k: v for k, v in attrs.items() if v is not None}
    unknown = set(given) - set(row.attrs)
    if unknown:
        raise TypeError(f"{row.type} has no attribute {', '.join(sorted(unknown))}")
    for key in row.attrs:
        if row.attrs[key].kind == "type" and key in given:
            given[key] = as_dtype(given[key]).base_dtype
    return given


__all__ = [
    "apply",
    "build",
    "constant",
    "convert",
    "convert_many",
    "dtypes",
    "graph_of",
    "name_scope",
]
