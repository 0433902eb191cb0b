"""CRC-32C against the values of RFC 3720, whole and in blocks."""

import numpy as np
import pytest

from evenkeel.checkpoint.checksum import BLOCK, crc32c, mask


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"", 0),
    ],
)
def test_the_values_of_the_standard(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc32c(memoryview(data)) == crc


@pytest.mark.parametrize("length", [BLOCK - 1, BLOCK, 2 * BLOCK + 7])
def test_blocks_and_beginnings_do_not_matter(length: int) -> None:
    data = np.random.RandomState(0).bytes(length)
    whole = crc32c(data)
    assert crc32c(memoryview(data)) == whole
    assert crc32c(memoryview(data)[100:], crc32c(data[:100])) == whole
    assert crc32c(data[BLOCK // 2 :], crc32c(memoryview(data)[: BLOCK // 2])) == whole


def test_the_mask_can_be_undone() -> None:
    for crc in (0, 1, 0xFFFFFFFF, 0xE3069283):
        rotated = (mask(crc) - 0xA282EAD8) & 0xFFFFFFFF
        assert (rotated >> 17 | rotated << 15) & 0xFFFFFFFF == crc
