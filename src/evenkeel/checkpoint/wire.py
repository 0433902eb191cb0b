"""Protocol buffer messages as numbered fields: the little of the wire format that these files use.

| wire type | holds                       | read as        |
|-----------|-----------------------------|----------------|
| 0         | varint                      | int, unsigned  |
| 1         | 8 bytes                     | memoryview     |
| 2         | length, then that many bytes| memoryview     |
| 5         | 4 bytes                     | memoryview     |

A varint holds 7 bits a byte, lowest first; the top bit says that another byte follows.
"""

from collections.abc import Iterator

from evenkeel.errors import BadData

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LONGEST = 10  # bytes of a varint of 64 bits

Field = tuple[int, int | memoryview]


def read_varint(data: memoryview, place: int) -> tuple[int, int]:
    r"""The number at ``place``, and the place after it.

    Raises:  BadData for a number that does not end inside ``data``, or exceeds 64 bits

    >>> read_varint(memoryview(b"\xac\x02"), 0)
    (300, 2)
    """
    number = 0
    for index in range(LONGEST):
        if not 0 <= place + index < len(data):
            raise cut(f"a number at byte {place} of {len(data)} that does not end")
        byte = data[place + index]
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            break
    else:
        raise cut(f"a number at byte {place} of more than {LONGEST} bytes")
    if number >> 64:
        raise cut(f"a number at byte {place} of more than 64 bits")
    return number, place + index + 1


def write_varint(number: int) -> bytes:
    r"""A number of 0 to 2⁶⁴ - 1, 7 bits a byte.

    >>> write_varint(300)
    b'\xac\x02'
    """
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def fields(message: memoryview) -> Iterator[Field]:
    r"""Each field of a message: its number, its value.

    Raises:  BadData for a field that does not end inside the message, or of an unknown wire type

    >>> [(number, value) for number, value in fields(memoryview(b"\x08\x01"))]
    [(1, 1)]
    """
    place = 0
    while place < len(message):
        key, place = read_varint(message, place)
        kind, number = key & 7, key >> 3
        if kind == VARINT:
            value, place = read_varint(message, place)
            yield number, value
            continue
        size, place = _size(message, kind, place)
        if size > len(message) - place:
            raise cut(f"field {number} of {size} bytes where {len(message) - place} are left")
        yield number, message[place : place + size]
        place += size


def _size(message: memoryview, kind: int, place: int) -> tuple[int, int]:
    if kind == BYTES:
        return read_varint(message, place)
    if kind not in (FIXED32, FIXED64):
        raise cut(f"wire type {kind}")
    return (4 if kind == FIXED32 else 8), place


def number_field(number: int, value: int) -> bytes:
    """A varint field; nothing for 0, as TensorFlow's own writer."""
    return write_varint(number << 3 | VARINT) + write_varint(value) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """A field of bytes, or of a message, written also when empty."""
    return write_varint(number << 3 | BYTES) + write_varint(len(value)) + value


def fixed32_field(number: int, value: int) -> bytes:
    """A field of 4 bytes; nothing for 0."""
    return write_varint(number << 3 | FIXED32) + value.to_bytes(4, "little") if value else b""


def integer(value: int | memoryview) -> int:
    """A field that must be a varint.

    Raises:  BadData
    """
    if not isinstance(value, int):
        raise cut("bytes where a number belongs")
    return value


def octets(value: int | memoryview) -> memoryview:
    """A field that must be bytes or a message.

    Raises:  BadData
    """
    if isinstance(value, int):
        raise cut("a number where bytes belong")
    return value


def cut(got: str) -> BadData:
    """The error of a record that cannot be read."""
    return BadData(
        "a record of this file is cut or corrupt",
        got=got,
        do="use another checkpoint, or copy this one again from where it was made",
    )
