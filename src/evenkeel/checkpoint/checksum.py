"""CRC-32C, and the mask that TensorFlow's files put over it."""

from google_crc32c import extend, value

# A checksum of data that hold checksums of themselves is weak, so stored ones are rotated and shifted.
MASK = 0xA282EAD8
BLOCK = 1 << 20

Buffer = bytes | memoryview


def crc32c(data: Buffer, start: int = 0) -> int:
    """The CRC-32C of ``data``, after ``start`` that of what came before.

    Source:  RFC 3720, appendix B.4

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    if isinstance(data, bytes):
        return int(extend(start, data) if start else value(data))
    crc = start
    for first in range(0, len(data), BLOCK):  # the C function takes only bytes: a copy in the cache
        crc = extend(crc, bytes(data[first : first + BLOCK]))
    return int(crc)


def mask(crc: int) -> int:
    """What is stored for a checksum.

    >>> hex(mask(0xE3069283))
    '0xc78ab0e5'
    """
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def masked(data: Buffer) -> int:
    """The masked CRC-32C of ``data``."""
    return mask(crc32c(data))
