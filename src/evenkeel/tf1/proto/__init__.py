"""TensorFlow's messages of graphs for the ``protobuf`` library, made from ``schema.py`` without protoc.

They live in a descriptor pool of their own, under TensorFlow's own full names, so that a real
TensorFlow or tensorboard in the same process is not disturbed.

>>> node = NodeDef(name="a", op="Const", input=["^b"])
>>> NodeDef.FromString(node.SerializeToString()).input[0]
'^b'
>>> GraphDef.DESCRIPTOR.full_name
'tensorflow.GraphDef'
"""

import re
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

from evenkeel.tf1.proto.schema import DATA_TYPES, ENUMS, MESSAGES, ONEOFS

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_Field, f"TYPE_{name.upper()}")
    for name in ("int32", "int64", "uint32", "uint64", "float", "double", "bool", "string", "bytes")
}
_FIELD = re.compile(r"(\w+)=(\d+):([*|!]?)(\{?)([\w.]+)\}?")


def _typed(field: Any, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
        return
    field.type = _Field.TYPE_ENUM if kind in ENUMS else _Field.TYPE_MESSAGE
    field.type_name = f".{kind}" if kind.startswith("google.") else f".tensorflow.{kind}"


def _map_entry(message: Any, field: Any, name: str, kind: str) -> str:
    """The nested message of a map's entries; the full name of that message."""
    short = "".join(part.capitalize() for part in name.split("_")) + "Entry"
    entry = message.nested_type.add(name=short)
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    _typed(entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL), kind)
    return short


def _fill(message: Any, full: str, row: str) -> None:
    for name, number, mark, is_map, kind in _FIELD.findall(row):
        label = _Field.LABEL_REPEATED if mark in ("*", "!") or is_map else _Field.LABEL_OPTIONAL
        field = message.field.add(name=name, number=int(number), label=label)
        if is_map:
            kind = f"{full}.{_map_entry(message, field, name, kind)}"
        _typed(field, kind)
        if mark == "!":
            field.options.packed = False
        if mark == "|":
            if not message.oneof_decl:
                message.oneof_decl.add(name=ONEOFS.get(full, "value"))
            field.oneof_index = 0


def _file() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="evenkeel/graphs.proto", package="tensorflow", syntax="proto3",
        dependency=[any_pb2.DESCRIPTOR.name],
    )  # fmt: skip
    made: dict[str, Any] = {}

    def message(full: str) -> Any:
        if full not in made:
            outer, _, short = full.rpartition(".")
            made[full] = (message(outer).nested_type if outer else file.message_type).add(
                name=short
            )
        return made[full]

    for line in MESSAGES.strip().splitlines():
        full, row = line.split(" ", 1)
        _fill(message(full), full, row)
    for full, values in ENUMS.items():
        outer, _, short = full.rpartition(".")
        enum = (message(outer).enum_type if outer else file.enum_type).add(name=short)
        for name, number in values.items():
            enum.value.add(name=name, number=number)
    return file


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(_file().SerializeToString())
    names = [line.split(" ", 1)[0] for line in MESSAGES.strip().splitlines()]
    found = {n: pool.FindMessageTypeByName(f"tensorflow.{n}") for n in names if "." not in n}
    found["Any"] = pool.FindMessageTypeByName("google.protobuf.Any")
    return {name: message_factory.GetMessageClass(row) for name, row in found.items()}


# Typed Any: the classes are made here, mypy cannot know their fields.
_made = _classes()
AnyMessage: Any = _made["Any"]
AssetFileDef: Any = _made["AssetFileDef"]
AttrValue: Any = _made["AttrValue"]
BytesList: Any = _made["BytesList"]
CollectionDef: Any = _made["CollectionDef"]
CondContextDef: Any = _made["CondContextDef"]
Event: Any = _made["Event"]
Example: Any = _made["Example"]
Feature: Any = _made["Feature"]
FeatureList: Any = _made["FeatureList"]
FeatureLists: Any = _made["FeatureLists"]
Features: Any = _made["Features"]
FloatList: Any = _made["FloatList"]
FunctionDef: Any = _made["FunctionDef"]
GraphDef: Any = _made["GraphDef"]
HistogramProto: Any = _made["HistogramProto"]
Int64List: Any = _made["Int64List"]
MetaGraphDef: Any = _made["MetaGraphDef"]
NameAttrList: Any = _made["NameAttrList"]
NodeDef: Any = _made["NodeDef"]
OpDef: Any = _made["OpDef"]
OpList: Any = _made["OpList"]
QueueRunnerDef: Any = _made["QueueRunnerDef"]
SavedModel: Any = _made["SavedModel"]
SaverDef: Any = _made["SaverDef"]
SaveSliceInfoDef: Any = _made["SaveSliceInfoDef"]
SequenceExample: Any = _made["SequenceExample"]
SessionLog: Any = _made["SessionLog"]
SignatureDef: Any = _made["SignatureDef"]
Summary: Any = _made["Summary"]
SummaryMetadata: Any = _made["SummaryMetadata"]
TaggedRunMetadata: Any = _made["TaggedRunMetadata"]
TensorInfo: Any = _made["TensorInfo"]
TensorProto: Any = _made["TensorProto"]
TensorShapeProto: Any = _made["TensorShapeProto"]
VariableDef: Any = _made["VariableDef"]
VersionDef: Any = _made["VersionDef"]
WhileContextDef: Any = _made["WhileContextDef"]

__all__ = [
    "DATA_TYPES",
    "AnyMessage",
    "AssetFileDef",
    "AttrValue",
    "BytesList",
    "CollectionDef",
    "CondContextDef",
    "Event",
    "Example",
    "Feature",
    "FeatureList",
    "FeatureLists",
    "Features",
    "FloatList",
    "FunctionDef",
    "GraphDef",
    "HistogramProto",
    "Int64List",
    "MetaGraphDef",
    "NameAttrList",
    "NodeDef",
    "OpDef",
    "OpList",
    "QueueRunnerDef",
    "SaveSliceInfoDef",
    "SavedModel",
    "SaverDef",
    "SequenceExample",
    "SessionLog",
    "SignatureDef",
    "Summary",
    "SummaryMetadata",
    "TaggedRunMetadata",
    "TensorInfo",
    "TensorProto",
    "TensorShapeProto",
    "VariableDef",
    "VersionDef",
    "WhileContextDef",
]  # fmt: skip
