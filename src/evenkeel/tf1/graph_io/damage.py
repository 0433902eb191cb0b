"""Where a message that cannot be parsed is damaged: a walk over its fields, to the first fault."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

DEEPEST = 100  # messages in messages: protobuf's own limit
_SIZES = {1: 8, 5: 4}  # bytes of a field of wire type 1 or 5


class _Fault(Exception):
    """What is wrong, and at which byte."""


def place_of(data: bytes, descriptor: Any) -> str:
    """``GraphDef.node[3].attr at byte 120: ...``; empty where nothing is found.

    >>> from evenkeel.tf1.proto import GraphDef, NodeDef
    >>> whole = GraphDef(node=[NodeDef(name="first"), NodeDef(name="second")]).SerializeToString()
    >>> place_of(whole[:-2], GraphDef.DESCRIPTOR)
    'GraphDef.node[1] at byte 11: 8 bytes wanted, 6 left'
    """
    try:
        _walk(data, 0, len(data), descriptor, descriptor.name, 0)
    except _Fault as fault:
        return str(fault)
    return ""


def _walk(data: bytes, at: int, end: int, descriptor: Any, path: str, depth: int) -> None:
    if depth > DEEPEST:
        raise _Fault(f"{path} at byte {at}: more than {DEEPEST} messages inside one another")
    seen: dict[int, int] = {}
    while at < end:
        tag, after = _varint(data, at, end, path)
        number, wire = tag >> 3, tag & 7
        field = None if descriptor is None else descriptor.fields_by_number.get(number)
        place = _place(path, field, number, seen)
        at = _value(data, after, end, wire, field, place, depth)


def _place(path: str, field: Any, number: int, seen: dict[int, int]) -> str:
    if field is None:
        return f"{path}.<field {number}>"
    seen[number] = seen.get(number, -1) + 1
    return f"{path}.{field.name}[{seen[number]}]" if field.is_repeated else f"{path}.{field.name}"


def _value(data: bytes, at: int, end: int, wire: int, field: Any, place: str, depth: int) -> int:
    """The offset after one value."""
    if wire == 0:
        return _varint(data, at, end, place)[1]
    if wire == 2:
        size, start = _varint(data, at, end, place)
        _fits(start, size, end, place)
        _inside(data, start, start + size, field, place, depth)
        return start + size
    if wire in _SIZES:
        _fits(at, _SIZES[wire], end, place)
        return at + _SIZES[wire]
    raise _Fault(f"{place} at byte {at}: no field has wire type {wire}")


def _inside(data: bytes, start: int, end: int, field: Any, place: str, depth: int) -> None:
    if field is None:
        return
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        _walk(data, start, end, field.message_type, place, depth + 1)
    elif field.type == FieldDescriptor.TYPE_STRING:
        try:
            data[start:end].decode()
        except UnicodeDecodeError as error:
            raise _Fault(f"{place} at byte {start + error.start}: not UTF-8 text") from None


def _fits(start: int, size: int, end: int, place: str) -> None:
    if size > end - start:
        raise _Fault(f"{place} at byte {start}: {size} bytes wanted, {end - start} left")


def _varint(data: bytes, at: int, end: int, place: str) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if at + index >= end:
            raise _Fault(f"{place} at byte {at}: the bytes end inside a number")
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise _Fault(f"{place} at byte {at}: a number of more than ten bytes")
