"""``tf.python_io``: TFRecord files, written and read without a graph."""

import zlib
from collections.abc import Iterator
from typing import Any

from evenkeel.tf1 import errors
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.records import framed, opened, reading, records

__all__ = [
    "TFRecordCompressionType", "TFRecordOptions", "TFRecordWriter", "tf_record_iterator",
]  # fmt: skip


class TFRecordCompressionType:
    """How a file is packed."""

    NONE, ZLIB, GZIP = 0, 1, 2


_NAMES = {0: "", 1: "ZLIB", 2: "GZIP", "": "", "ZLIB": "ZLIB", "GZIP": "GZIP", None: ""}


class TFRecordOptions:
    """How a file is packed; buffers and windows are hints, kept without meaning here."""

    def __init__(
        self, compression_type: Any = None, flush_mode: Any = None, input_buffer_size: Any = None,
        output_buffer_size: Any = None, window_bits: Any = None, compression_level: Any = None,
        compression_method: Any = None, mem_level: Any = None, compression_strategy: Any = None,
    ) -> None:  # fmt: skip
        self.compression_type, self.compression_level = compression_type, compression_level
        self.compression = _compression(self)

    @classmethod
    def get_compression_type_string(cls, options: Any) -> str:
        """``""``, ``"ZLIB"`` or ``"GZIP"``."""
        return _compression(options)


def _compression(options: Any) -> str:
    kind = getattr(options, "compression_type", options)
    kind = getattr(kind, "compression_type", kind)
    if kind not in _NAMES:
        raise ValueError(f'Not a valid compression_type: "{kind}"')
    return _NAMES[kind]


class TFRecordWriter:
    """Writes records into a file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with TFRecordWriter(folder + "/a.tfrecord") as writer:
    ...         writer.write(b"one")
    ...     list(tf_record_iterator(folder + "/a.tfrecord"))
    [b'one']
    """

    def __init__(self, path: Any, options: Any = None) -> None:
        packing = _compression(options)
        level = getattr(options, "compression_level", None)
        level = zlib.Z_DEFAULT_COMPRESSION if level is None else level
        self._packer = zlib.compressobj(level) if packing == "ZLIB" else None
        self._file = opened(path, "" if self._packer else packing, "wb", level)

    def write(self, record: Any) -> None:
        """Append one record.

        Raises: TypeError for what is no text or bytes; FailedPreconditionError after ``close``
        """
        if not isinstance(record, str | bytes | bytearray | memoryview):
            raise TypeError(f"a record is bytes or text, but got {type(record).__name__}")
        self._check_open()
        data = framed(record.encode() if isinstance(record, str) else bytes(record))
        self._file.write(self._packer.compress(data) if self._packer else data)

    def flush(self) -> None:
        """Bring what was written to the file."""
        self._check_open()
        if self._packer:
            self._file.write(self._packer.flush(zlib.Z_SYNC_FLUSH))
        self._file.flush()

    def close(self) -> None:
        """Write no more."""
        if self._packer and not self._file.closed:
            self._file.write(self._packer.flush())
        self._file.close()

    def _check_open(self) -> None:
        if self._file.closed:
            raise errors.FailedPreconditionError(
                None, None, "Writer not initialized or previously closed"
            )

    def __enter__(self) -> "TFRecordWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def tf_record_iterator(path: Any, options: Any = None) -> Iterator[bytes]:
    """The records of a file.

    Raises: DataLossError for a damaged one, at the record; NotFoundError
    """
    with reading(path, _compression(options)) as file:
        yield from records(file)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.python_io.{name}", __all__)
