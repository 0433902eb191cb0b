"""``tf.io``: the functions of files and bytes under their later names."""

import importlib
from typing import Any

from evenkeel.tf1.catalogue import missing

_PARSING, _RECORDS, _IMAGE = "api.parsing", "python_io", "image"
_HOME = {
    "FixedLenFeature": _PARSING, "FixedLenSequenceFeature": _PARSING, "VarLenFeature": _PARSING,
    "decode_csv": _PARSING, "decode_raw": _PARSING, "matching_files": _PARSING,
    "parse_example": _PARSING, "parse_single_example": _PARSING, "read_file": _PARSING,
    "write_file": _PARSING, "TFRecordCompressionType": _RECORDS, "TFRecordOptions": _RECORDS,
    "TFRecordWriter": _RECORDS, "tf_record_iterator": _RECORDS,
    "decode_jpeg": _IMAGE, "decode_png": _IMAGE, "encode_jpeg": _IMAGE, "encode_png": _IMAGE,
    "write_graph": "train",
}  # fmt: skip
__all__ = sorted(["gfile", *_HOME])


def __getattr__(name: str) -> Any:
    if name == "gfile":
        return importlib.import_module("evenkeel.tf1.gfile")
    if name in _HOME:
        return getattr(importlib.import_module(f"evenkeel.tf1.{_HOME[name]}"), name)
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.io.{name}", __all__)
