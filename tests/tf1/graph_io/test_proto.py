"""The messages against tensorboard's copy of TensorFlow's own definitions: names, numbers, types."""

import importlib
from typing import Any

import pytest

from evenkeel.tf1 import proto
from evenkeel.tf1.proto.schema import ENUMS

MODULES = (
    "attr_value", "cluster", "function", "graph", "meta_graph", "node_def", "op_def", "resource_handle",
    "saver", "saved_object_graph", "tensor", "tensor_shape", "types", "variable", "versions",
)  # fmt: skip


def theirs() -> dict[str, Any]:
    pytest.importorskip("tensorboard.compat.proto.graph_pb2")
    found: dict[str, Any] = {}
    for name in MODULES:
        try:
            module = importlib.import_module(f"tensorboard.compat.proto.{name}_pb2")
        except ImportError:
            continue
        for text, kind in vars(module).items():
            if hasattr(kind, "DESCRIPTOR") and hasattr(kind, "FromString"):
                found[text] = kind.DESCRIPTOR
    return found


def rows(descriptor: Any) -> dict[str, tuple[Any, ...]]:
    def target(field: Any) -> Any:
        inner = field.message_type or field.enum_type
        return inner.name if inner is not None else None

    return {
        f.name: (
            f.number,
            f.type,
            f.is_repeated,
            target(f),
            f.containing_oneof and f.containing_oneof.name,
        )
        for f in descriptor.fields
    }


def test_fields_are_tensorflows() -> None:
    known = theirs()
    compared = 0
    for name, kind in vars(proto).items():
        if name not in known or not hasattr(kind, "DESCRIPTOR"):
            continue
        pairs = [(kind.DESCRIPTOR, known[name])]
        while pairs:
            ours, other = pairs.pop()
            there = rows(other)
            for field, row in rows(ours).items():
                assert there[field] == row, (ours.full_name, field)
                compared += 1
            nested = {n.name: n for n in other.nested_types}
            pairs += [(n, nested[n.name]) for n in ours.nested_types]
    assert compared > 90


def test_element_types_are_numbered_as_tensorflows() -> None:
    module = pytest.importorskip("tensorboard.compat.proto.types_pb2")
    for name, number in ENUMS["DataType"].items():
        assert module.DataType.Value(name) == number


def test_both_definitions_live_in_one_process() -> None:
    module = pytest.importorskip("tensorboard.compat.proto.graph_pb2")
    node = proto.NodeDef(name="a", op="Const", input=["b"])
    node.attr["T"].type = 1
    other = module.GraphDef()
    other.ParseFromString(proto.GraphDef(node=[node]).SerializeToString())
    assert other.node[0].attr["T"].type == 1
