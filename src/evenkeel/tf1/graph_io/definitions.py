"""Operation types as messages: a Signature of an OpDef, and an OpDef of a Signature."""

from typing import Any

from evenkeel.tf1.dtypes import DType, as_dtype
from evenkeel.tf1.graph_io.attributes import attr_of_proto, attr_to_proto, default_of
from evenkeel.tf1.ops.signature import NO_DEFAULT, Arg, Attr, Signature, known_types, signature
from evenkeel.tf1.proto import OpDef

MOST = 100_000  # inputs or outputs of one node


def known(kind: str, others: dict[str, Signature]) -> Signature | None:
    """The signature of a type: TensorFlow 1.15's own, or one that came with the graph."""
    return signature(kind) if kind in _types() else others.get(kind)


def _types() -> frozenset[str]:
    if not _known:
        _known.append(frozenset(known_types()))
    return _known[0]


_known: list[frozenset[str]] = []


def dtypes_of(args: tuple[Arg, ...], attrs: dict[str, Any]) -> list[DType]:
    """The element types of a node's inputs or outputs, one a tensor."""
    found: list[DType] = []
    for arg in args:
        if arg.is_type_list:
            types = list(attrs[arg.kind])
        else:
            count = attrs[arg.number] if arg.number else 1
            if not 0 <= count <= MOST:
                raise ValueError(
                    f"attr '{arg.number}' is {count}: more tensors than a node can have"
                )
            types = [arg.fixed or attrs[arg.kind]] * count
        found += [t._as_ref if arg.ref else t for t in types]
    return found


def signature_of(proto: Any) -> Signature:
    """The signature that an OpDef describes."""
    attrs = {
        a.name: Attr(
            a.type,
            attr_of_proto(a.default_value) if a.HasField("default_value") else NO_DEFAULT,
            _allowed(a) if a.HasField("allowed_values") else None,
        )
        for a in proto.attr
    }
    inputs, outputs = (tuple(map(_arg, args)) for args in (proto.input_arg, proto.output_arg))
    return Signature(proto.name, inputs, outputs, attrs, proto.is_stateful)


def _allowed(attr: Any) -> list[Any]:
    values = attr_of_proto(attr.allowed_values)
    return [v.name if isinstance(v, DType) else v for v in values]


def _arg(proto: Any) -> Arg:
    fixed = as_dtype(proto.type) if proto.type else None
    kind = proto.type_list_attr or proto.type_attr
    return Arg(proto.name, proto.is_ref, proto.number_attr, kind, fixed, bool(proto.type_list_attr))


def op_def_of(row: Signature) -> Any:
    """The OpDef of a signature, without prose: what a meta graph lists its types with."""
    made = OpDef(name=row.type, is_stateful=row.stateful)
    for args, field in ((row.inputs, made.input_arg), (row.outputs, made.output_arg)):
        for arg in args:
            said = field.add(name=arg.name, number_attr=arg.number, is_ref=arg.ref)
            if arg.fixed:
                said.type = arg.fixed.as_datatype_enum
            elif arg.is_type_list:
                said.type_list_attr = arg.kind
            else:
                said.type_attr = arg.kind
    for name, attr in sorted(row.attrs.items()):
        said = made.attr.add(name=name, type=attr.kind)
        if attr.default is not NO_DEFAULT and attr.kind not in ("tensor", "func"):
            default = attr_to_proto(default_of(attr, name), attr.kind, {})
            said.default_value.CopyFrom(default)
        if attr.allowed is not None:
            kind = attr.kind.removeprefix("list(").removesuffix(")")
            said.allowed_values.CopyFrom(attr_to_proto(attr.allowed, f"list({kind})", {}))
    return made
