"""Attributes of nodes: our plain values, and TensorFlow's AttrValue."""

from typing import Any

import numpy as np

from evenkeel.tf1.build import formed
from evenkeel.tf1.dtypes import DType, as_dtype
from evenkeel.tf1.graph_io.tensors import (
    shape_of_proto,
    shape_to_proto,
    tensor_of_proto,
    tensor_to_proto,
)
from evenkeel.tf1.ops.signature import Attr
from evenkeel.tf1.proto import AttrValue, NameAttrList, TensorProto
from evenkeel.tf1.shapes import TensorShape

FIELDS = {
    "string": "s", "int": "i", "float": "f", "bool": "b", "type": "type", "shape": "shape",
    "tensor": "tensor", "func": "func",
}  # fmt: skip


def kind_of(value: Any) -> str:
    """The kind of an attribute that no signature names, by its value."""
    if isinstance(value, list | tuple):
        return f"list({kind_of(value[0]) if value else 'string'})"
    kinds: tuple[tuple[Any, str], ...] = (
        ((bool, np.bool_), "bool"),
        ((int, np.integer), "int"),
        ((float, np.floating), "float"),
        ((str, bytes), "string"),
        (DType, "type"),
        (TensorShape, "shape"),
        ((np.ndarray, TensorProto), "tensor"),
        (NameAttrList, "func"),
    )
    for classes, kind in kinds:
        if isinstance(value, classes):
            return kind
    raise ValueError(f"no attribute of a node can be {value!r}")


def attr_to_proto(value: Any, kind: str, attrs: dict[str, Any]) -> Any:
    """The AttrValue of a value of this kind; ``attrs`` are all of its node's."""
    if isinstance(value, AttrValue):
        return value
    made = AttrValue()
    if kind.startswith("list("):
        field = FIELDS[kind[5:-1]]
        made.list.SetInParent()
        getattr(made.list, field).extend([_plain(v, kind[5:-1], attrs) for v in value])
        return made
    one = _plain(value, kind, attrs)
    if kind in ("shape", "tensor", "func"):
        getattr(made, FIELDS[kind]).CopyFrom(one)
    else:
        setattr(made, FIELDS[kind], one)
    return made


def _plain(value: Any, kind: str, attrs: dict[str, Any]) -> Any:
    """What a field of AttrValue takes for one value."""
    if kind == "type":
        return as_dtype(value).as_datatype_enum
    if kind == "shape":
        return shape_to_proto(value)
    if kind == "string":
        return value.encode() if isinstance(value, str) else bytes(value)
    if kind == "tensor":
        return tensor_to_proto(value, attrs.get("dtype") or as_dtype(value.dtype))
    if kind == "func" and not isinstance(value, NameAttrList):
        return NameAttrList(name=value.name)  # a function of ours: only its name leaves
    return value


def attr_of_proto(proto: Any) -> Any:
    """The plain value of an AttrValue; the message itself for a function or a placeholder."""
    field = proto.WhichOneof("value")
    if field in (None, "func", "placeholder"):
        return proto
    if field != "list":
        return _value(getattr(proto, field), field)
    for name in FIELDS.values():
        if values := getattr(proto.list, name):
            return [_value(v, name) for v in values]
    return []


def _value(value: Any, field: str) -> Any:
    if field == "type":
        return as_dtype(value)
    if field == "shape":
        return shape_of_proto(value)
    if field == "tensor":
        return tensor_of_proto(value)
    if field == "s":
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value


def default_of(attr: Attr, name: str) -> Any:
    """The default of an attribute as a node of ours holds it."""
    return formed(attr, attr.default, name)


def checked(proto: Any, attr: Attr, name: str) -> Any:
    """The value of an attribute that a signature names; ValueError where it is of another kind."""
    field = proto.WhichOneof("value")
    wanted = "list" if attr.kind.startswith("list(") else FIELDS[attr.kind]
    if field != wanted:
        raise ValueError(f"attr '{name}' is a {field or 'nothing'}, and must be a {attr.kind}")
    if wanted == "list":
        filled = [f for f in FIELDS.values() if getattr(proto.list, f)]
        if filled not in ([], [FIELDS[attr.kind[5:-1]]]):
            raise ValueError(f"attr '{name}' is a list of {filled}, and must be a {attr.kind}")
    value = attr_of_proto(proto)
    kept = attr.kind == "string" and isinstance(value, bytes)  # not text: left as it is
    return value if attr.kind in ("tensor", "func") or kept else formed(attr, value, name)
