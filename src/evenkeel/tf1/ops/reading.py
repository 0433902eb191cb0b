"""Files as datasets and as values: lines, records of one length, TFRecords, whole files, patterns."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from evenkeel.tf1 import errors, gfile, records
from evenkeel.tf1.ops.datasets import Element, Make
from evenkeel.tf1.ops.rules import scalar, unknown
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.system_errors import as_tensorflow


def text(value: bytes) -> Any:
    """A string as a value."""
    found = np.empty((), object)
    found[()] = value
    return found


def plain(value: Any) -> str:
    """A string value as Python's text."""
    item = value.item() if hasattr(value, "item") else value
    return item.decode() if isinstance(item, bytes) else str(item)


def _over(files: Any, compression: Any, read: Any) -> Make:
    """The strings that ``read`` finds in each of several files."""
    names = np.asarray(files, object).reshape(-1)

    def make(fused: bool) -> Iterator[Element]:
        for name in names:
            with records.reading(name, plain(compression)) as file:
                for found in read(file, name):
                    yield (text(found),)

    return make


@op("TextLineDataset", stateful=True, shape=scalar)
def text_lines(files: Any, compression: Any, buffer_size: Any) -> Make:
    """The lines of files, without their ends."""
    return _over(files, compression, lambda file, _: map(_line, file))


def _line(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


@op("TFRecordDataset", stateful=True, shape=scalar)
def tf_records(files: Any, compression: Any, buffer_size: Any) -> Make:
    """The records of TFRecord files."""
    return _over(files, compression, lambda file, _: records.records(file))


@op("FixedLengthRecordDataset", "FixedLengthRecordDatasetV2", stateful=True, shape=scalar,
    host=("header_bytes", "record_bytes", "footer_bytes"))  # fmt: skip
def fixed_length_records(
    files: Any, header: int, size: int, footer: int, buffer_size: Any, compression: Any = b"",
    *, op: Any,
) -> Make:  # fmt: skip
    """Records of one length between a header and a footer."""
    if size <= 0:
        raise errors.InvalidArgumentError(None, op, "`record_bytes` must be > 0")

    def read(file: IO[bytes], name: Any) -> Iterator[bytes]:
        file.seek(0, 2)
        body = file.tell() - header - footer
        if body < 0 or body % size:
            raise errors.InvalidArgumentError(
                None, op,
                f'Excluding the header ({header} bytes) and footer ({footer} bytes), input file '
                f'"{plain(name)}" has body length {body} bytes, which is not an exact multiple of '
                f"the record length ({size} bytes).",
            )  # fmt: skip
        file.seek(header)
        return (file.read(size) for _ in range(body // size))

    return _over(files, compression, read)


@op("MatchingFiles", stateful=True, shape=unknown)
def matching_files(pattern: Any) -> Any:
    """The files that match patterns, sorted."""
    patterns = np.asarray(pattern, object).reshape(-1)
    found = sorted(itertools.chain.from_iterable(gfile.Glob(plain(p)) for p in patterns))
    made = np.empty(len(found), object)
    made[:] = [name.encode() for name in found]
    return made


@op("ReadFile", stateful=True, shape=scalar)
def read_file(name: Any, *, op: Any) -> Any:
    """What a file holds."""
    with as_tensorflow(plain(name), op):
        return text(Path(plain(name)).read_bytes())


@op("WriteFile", stateful=True)
def write_file(name: Any, contents: Any, *, op: Any) -> None:
    """Writes a file, and the folders that it needs."""
    path = Path(plain(name))
    with as_tensorflow(path, op):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents.item() if hasattr(contents, "item") else contents)
