"""Messages in files: read whole or refused with the place of the damage; written whole or not."""

import os
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from evenkeel.files import write_whole
from evenkeel.tf1 import errors
from evenkeel.tf1.graph_io.damage import place_of
from evenkeel.tf1.system_errors import as_tensorflow

LARGEST = 2**31 - 1  # bytes: what protobuf allows for one message


def read_message(path: Any, kind: Any) -> Any:
    """A message of a binary or text file.

    Raises: OSError where there is no file; DataLossError, with file, field and offset, for one that
    is damaged.
    """
    file = Path(os.fspath(path))
    if not file.is_file():
        raise OSError(f"File {file} does not exist.")
    if file.stat().st_size > LARGEST:
        raise errors.DataLossError(None, None, f"{file}: larger than {LARGEST} bytes")
    with as_tensorflow(file):
        data = file.read_bytes()
    if file.suffix in (".pbtxt", ".prototxt"):
        return _text(data, kind, file)
    try:
        return kind.FromString(data)
    except DecodeError as error:
        if _is_text(data):
            return _text(data, kind, file)
        where = place_of(data, kind.DESCRIPTOR) or str(error)
        message = f"Cannot parse file {file} as a {kind.DESCRIPTOR.name}: {where}"
        raise errors.DataLossError(None, None, message) from error


def parsed(data: bytes, kind: Any, what: str) -> Any:
    """A message of bytes inside another message; ``what`` names them in the error."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        where = place_of(data, kind.DESCRIPTOR) or str(error)
        message = f"Cannot parse {what} as a {kind.DESCRIPTOR.name}: {where}"
        raise errors.DataLossError(None, None, message) from error


def _is_text(data: bytes) -> bool:
    start = data[:256]
    return bool(start) and all(b in b"\t\n\r" or 32 <= b < 127 for b in start)


def _text(data: bytes, kind: Any, file: Path) -> Any:
    try:
        return text_format.Parse(data.decode(), kind())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        message = f"Cannot parse file {file} as the text of a {kind.DESCRIPTOR.name}: {error}"
        raise errors.DataLossError(None, None, message) from error


def write_message(path: Any, message: Any, as_text: bool) -> str:
    """Write a message; the folder is made where it is missing. The path."""
    file = Path(os.fspath(path))
    data = text_format.MessageToString(message).encode() if as_text else message.SerializeToString()
    with as_tensorflow(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, data)
    return str(file)


def write_graph(graph_or_graph_def: Any, logdir: Any, name: str, as_text: bool = True) -> str:
    """Write a graph or a GraphDef to ``logdir/name``; the path."""
    given = graph_or_graph_def
    message = given.as_graph_def() if hasattr(given, "as_graph_def") else given
    return write_message(Path(os.fspath(logdir)) / name, message, as_text)
