"""One node of a GraphDef as an operation: its type, attributes, inputs, all checked, errors named."""

from dataclasses import dataclass, field
from typing import Any

from evenkeel.tf1 import dtypes, naming
from evenkeel.tf1.dtypes import DType, short_name
from evenkeel.tf1.graph_io.attributes import attr_of_proto, checked, default_of
from evenkeel.tf1.graph_io.definitions import dtypes_of, known
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops.signature import NO_DEFAULT, Signature
from evenkeel.tf1.shapes import TensorShape

# Attributes that types got after 1.15, with the values that mean what 1.15 does.
LATER: dict[str, Any] = {
    "exponential_avg_factor": 1.0, "grad_x": False, "grad_y": False, "grad_a": False,
    "grad_b": False, "debug_name": "", "experimental_debug_name": "", "num_args": 0, "TArgs": [],
}  # fmt: skip
_SHAPES = "_output_shapes"


@dataclass(slots=True)
class Source:
    """What a node takes: ``name`` and output, or ``name`` alone to wait for."""

    name: str
    index: int  # -1: a control input

    @property
    def text(self) -> str:
        """The input as a GraphDef writes it."""
        return f"^{self.name}" if self.index < 0 else f"{self.name}:{self.index}"


def source_of(text: str) -> Source:
    """An input of a NodeDef, read."""
    if text.startswith("^"):
        return Source(text[1:], -1)
    name, colon, index = text.rpartition(":")
    if not colon:
        return Source(text, 0)
    if not index.isdigit() or len(index) > 9:
        raise ValueError(f"input {text!r} is not of the form name or name:number")
    return Source(name, int(index))


@dataclass(slots=True)
class Row:
    """A node read: what an Operation is made of."""

    node: Any
    signature: Signature | None
    attrs: dict[str, Any]
    sources: list[Source]
    waits: list[str]
    shapes: list[TensorShape] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The node's name in the GraphDef."""
        return str(self.node.name)


def row_of(node: Any, others: dict[str, Signature], stripped: dict[str, Signature]) -> Row:
    """Read one NodeDef; ValueError, in TensorFlow's words where it has some, names the node."""
    try:
        _check_name(node.name)
        sources = [source_of(text) for text in node.input]
        row = known(node.op, others)
        attrs = _loose(node) if row is None else _attrs(node, row, stripped.get(node.op))
        shapes = _shapes(node)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"node {node.name!r} (op: {node.op!r}): {_words(error)}") from None
    data = [s for s in sources if s.index >= 0]
    return Row(node, row, attrs, data, [s.name for s in sources if s.index < 0], shapes)


def _check_name(name: str) -> None:
    if not naming.OP_NAME.match(name):
        raise ValueError(f"'{name}' is not a valid node name")


def _words(error: Exception) -> str:
    return str(error.args[0] if error.args else error)


def _shapes(node: Any) -> list[TensorShape]:
    if _SHAPES not in node.attr:
        return []
    found = attr_of_proto(node.attr[_SHAPES])
    return found if all(isinstance(s, TensorShape) for s in found) else []


def _loose(node: Any) -> dict[str, Any]:
    """The attributes of a type that nobody knows."""
    return {n: attr_of_proto(node.attr[n]) for n in sorted(node.attr) if n != _SHAPES}


def _attrs(node: Any, row: Signature, producer: Signature | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, attr in row.attrs.items():
        if name in node.attr:
            found[name] = checked(node.attr[name], attr, name)
        elif attr.default is not NO_DEFAULT:
            found[name] = default_of(attr, name)
        else:
            raise ValueError(f"NodeDef missing attr '{name}' from Op<name={row.type}>")
        _check_allowed(name, found[name], attr.allowed)
    for name in sorted(node.attr):
        if name in row.attrs or name == _SHAPES:
            continue
        value = attr_of_proto(node.attr[name])
        if name.startswith("_"):
            found[name] = value
        elif not _means_nothing(name, value, producer):
            raise ValueError(f"NodeDef mentions attr '{name}' not in Op<name={row.type}>")
    return found


def _means_nothing(name: str, value: Any, producer: Signature | None) -> bool:
    """Whether an attribute that 1.15 does not have says what 1.15 does anyway."""
    if producer is not None and name in producer.attrs:
        return bool(producer.attrs[name].default == value)
    return name in LATER and bool(LATER[name] == value)


def _check_allowed(name: str, value: Any, allowed: list[Any] | None) -> None:
    if allowed is None:
        return
    for one in value if isinstance(value, list) else [value]:
        text = one.name if isinstance(one, DType) else one
        if text not in allowed:
            listed = ", ".join(map(str, allowed))
            raise ValueError(
                f"Value for attr '{name}' of {text} is not in the list of allowed values: {listed}"
            )


def check_inputs(row: Row, inputs: list[Tensor]) -> None:
    """ValueError where number or types of a node's inputs are not those of its signature."""
    if row.signature is None:
        return
    wanted = dtypes_of(row.signature.inputs, row.attrs)
    if len(wanted) != len(inputs):
        listed = ", ".join(short_name(d) for d in wanted[:10])
        raise ValueError(
            f"node {row.name!r} (op: {row.node.op!r}): NodeDef expected inputs '{listed}' do not "
            f"match {len(inputs)} inputs specified"
        )
    for index, (dtype, tensor) in enumerate(zip(wanted, inputs, strict=True)):
        fits = dtype == tensor.dtype if dtype.is_ref else dtype == tensor.dtype.base_dtype
        if not fits and tensor.op.type in _types_known(tensor):
            raise ValueError(
                f"Input {index} of node {row.name} was passed {short_name(tensor.dtype)} from "
                f"{tensor.name} incompatible with expected {short_name(dtype)}."
            )


def _types_known(tensor: Tensor) -> tuple[str, ...]:
    return (tensor.op.type,) if known(tensor.op.type, {}) is not None else ()


def output_types(row: Row, uses: dict[int, DType | None]) -> list[DType]:
    """The types of a node's outputs; for an unknown type what its readers ask for."""
    if row.signature is not None:
        return dtypes_of(row.signature.outputs, row.attrs)
    named = (row.attrs.get(n) for n in ("T", "dtype", "Tout", "out_type"))
    fallback = next((d for d in named if isinstance(d, DType)), dtypes.variant)
    count = max([len(row.shapes), *(i + 1 for i in uses)], default=0)
    return [uses.get(i) or fallback for i in range(count)]


def make(graph: Any, row: Row, name: str, inputs: list[Tensor], types: list[DType]) -> Operation:
    """The operation of a row, with unknown shapes."""
    made = Operation(graph, row.node.op, name, inputs, row.attrs, "")
    made.device = row.node.device
    made.outputs = [Tensor(made, i, d, TensorShape(None)) for i, d in enumerate(types)]
    for tensor in inputs:
        tensor.op._consumed.append(made)
    return made
