"""Readers: records of files whose names come from a queue."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch

from evenkeel.tf1 import errors, records
from evenkeel.tf1.ops.reading import _line, plain, text
from evenkeel.tf1.ops.rules import scalar
from evenkeel.tf1.ops.table import op

Records = Iterator[tuple[str, bytes]]


class Reader:
    """Where a reader is: the file at work and what is left of it."""

    def __init__(self, begin: Callable[[str], Records]) -> None:
        self._begin, self.count = begin, 0
        self._rest: Records = iter(())

    def next(self, queue: Any, op: Any) -> tuple[str, bytes]:
        """The next record, of the next file where one is at its end."""
        while True:
            found = next(self._rest, None)
            if found is not None:
                self.count += 1
                return found
            (row,) = queue.take(1, False, op)
            self._rest = self._begin(plain(row[0]))


def _kept(state: Any, op: Any, begin: Callable[[str], Records]) -> Reader:
    name = f"reader:{op.attrs['shared_name'] or op.name}"
    found: Reader = state.resources.setdefault(name, Reader(begin))
    return found


@op("WholeFileReaderV2", stateful=True, shape=scalar)
def whole_files(*, op: Any, state: Any) -> Reader:
    """A file a record."""

    def begin(name: str) -> Records:
        with records.reading(name, "") as file:
            yield name, file.read()

    return _kept(state, op, begin)


@op("IdentityReaderV2", stateful=True, shape=scalar)
def identities(*, op: Any, state: Any) -> Reader:
    """A name a record."""
    return _kept(state, op, lambda name: iter([(name, name.encode())]))


@op("TextLineReaderV2", stateful=True, shape=scalar)
def lines(*, op: Any, state: Any, skip_header_lines: int) -> Reader:
    """A line a record."""

    def begin(name: str) -> Records:
        with records.reading(name, "") as file:
            for number, line in itertools.islice(enumerate(file, 1), skip_header_lines, None):
                yield f"{name}:{number}", _line(line)

    return _kept(state, op, begin)


@op("TFRecordReaderV2", stateful=True, shape=scalar)
def tf_records(*, op: Any, state: Any, compression_type: str) -> Reader:
    """A TFRecord a record."""

    def begin(name: str) -> Records:
        with records.reading(name, compression_type) as file:
            at = 0
            for record in records.records(file):
                yield f"{name}:{at}", record
                at += 16 + len(record)

    return _kept(state, op, begin)


@op("FixedLengthRecordReaderV2", stateful=True, shape=scalar)
def fixed_length(
    *, op: Any, state: Any, record_bytes: int, header_bytes: int, footer_bytes: int,
    hop_bytes: int, encoding: str,
) -> Reader:  # fmt: skip
    """Records of one length."""
    if encoding not in ("", "ZLIB"):
        raise errors.InvalidArgumentError(None, op, f"encoding must be '' or 'ZLIB': {encoding}")

    def begin(name: str) -> Records:
        with records.reading(name, encoding) as file:
            data = file.read()
        last = len(data) - footer_bytes - record_bytes
        for number, at in enumerate(range(header_bytes, last + 1, hop_bytes or record_bytes)):
            yield f"{name}:{number}", data[at : at + record_bytes]

    return _kept(state, op, begin)


@op("ReaderReadV2", stateful=True, shape=scalar)
def read(reader: Reader, queue: Any, *, op: Any) -> Any:
    """The next record."""
    key, value = reader.next(queue, op)
    return text(key.encode()), text(value)


@op("ReaderNumRecordsProducedV2", stateful=True, shape=scalar)
def produced(reader: Reader) -> Any:
    """How many records were read."""
    return torch.tensor(reader.count)
