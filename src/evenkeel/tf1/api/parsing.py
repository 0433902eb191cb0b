"""Bytes and files as tensors: raw numbers, serialized examples, CSV, whole files."""

import re
from itertools import pairwise
from typing import Any, NamedTuple

from evenkeel.tf1.build import apply, constant, convert, name_scope
from evenkeel.tf1.dtypes import as_dtype
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.shapes import TensorShape, as_shape

__all__ = [
    "FixedLenFeature", "FixedLenSequenceFeature", "VarLenFeature", "decode_csv", "decode_raw",
    "matching_files", "parse_example", "parse_single_example", "read_file", "string_to_number",
    "write_file",
]  # fmt: skip


class FixedLenFeature(NamedTuple):
    """A feature of one shape; without a default it must be there."""

    shape: Any
    dtype: Any
    default_value: Any = None


class FixedLenSequenceFeature(NamedTuple):
    """A feature of any number of rows of one shape; filled up with the default to the longest."""

    shape: Any
    dtype: Any
    allow_missing: bool = False
    default_value: Any = None


class VarLenFeature(NamedTuple):
    """A feature of any length. It would be a sparse tensor: parsing it raises NotImplementedError."""

    dtype: Any


def decode_raw(
    input_bytes: Any = None, out_type: Any = None, little_endian: bool = True, name: Any = None,
    bytes: Any = None,
) -> Tensor:  # fmt: skip
    """The bytes of strings as numbers, along a new last axis.

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     print(sess.run(tf.decode_raw(b"AB", tf.uint8)))
    [65 66]
    """
    given = bytes if input_bytes is None else input_bytes
    return apply(  # type: ignore[no-any-return]
        "DecodeRaw", given, out_type=out_type, little_endian=little_endian, name=name
    )


def read_file(filename: Any, name: Any = None) -> Tensor:
    """What a file holds, as a string."""
    return apply("ReadFile", filename, name=name)  # type: ignore[no-any-return]


def write_file(filename: Any, contents: Any, name: Any = None) -> Operation:
    """A node that writes a file."""
    return apply("WriteFile", filename, contents, name=name)  # type: ignore[no-any-return]


def matching_files(pattern: Any, name: Any = None) -> Tensor:
    """The files that match patterns, sorted."""
    return apply("MatchingFiles", pattern, name=name)  # type: ignore[no-any-return]


def string_to_number(
    string_tensor: Any = None, out_type: Any = "float32", name: Any = None, input: Any = None
) -> Tensor:
    """Text as numbers."""
    given = input if string_tensor is None else string_tensor
    return apply("StringToNumber", given, out_type=out_type, name=name)  # type: ignore[no-any-return]


def decode_csv(
    records: Any, record_defaults: Any, field_delim: str = ",", use_quote_delim: bool = True,
    name: Any = None, na_value: str = "", select_cols: Any = None,
) -> list[Tensor]:  # fmt: skip
    """The columns of lines of text; a default says the type, an empty one that it must be there."""
    if select_cols is not None and any(a >= b for a, b in pairwise(select_cols)):
        raise ValueError("select_cols is not strictly increasing.")
    if select_cols is not None and select_cols and select_cols[0] < 0:
        raise ValueError("select_cols contains negative values.")
    if select_cols is not None and len(select_cols) != len(record_defaults):
        raise ValueError("Length of select_cols and record_defaults do not match.")
    found = apply(
        "DecodeCSV", records, list(record_defaults), field_delim=field_delim,
        use_quote_delim=use_quote_delim, na_value=na_value, select_cols=select_cols or [], name=name,
    )  # fmt: skip
    return list(found)


class _Described(NamedTuple):
    keys: list[str]
    types: list[Any]
    shapes: list[TensorShape]
    defaults: list[Tensor]


def _described(features: Any) -> _Described:
    if not features:
        raise ValueError(f"Missing: features was {features}.")
    found = _Described([], [], [], [])
    for key in sorted(features):
        feature = features[key]
        if isinstance(feature, VarLenFeature):
            raise NotImplementedError(
                f"VarLenFeature {key!r}: sparse tensors are not part of this dialect; use "
                "FixedLenFeature, or FixedLenSequenceFeature with allow_missing=True"
            )
        if not isinstance(feature, FixedLenFeature | FixedLenSequenceFeature):
            raise ValueError(f"Invalid feature {key}:{feature}.")  # noqa: TRY004  # TensorFlow's class
        found.keys.append(key)
        found.types.append(_type(key, feature))
        found.shapes.append(_shape(key, feature))
        found.defaults.append(_default(key, feature, found.shapes[-1]))
    return found


def _type(key: str, feature: Any) -> Any:
    if not feature.dtype:
        raise ValueError(f"Missing type for feature {key}.")
    return as_dtype(feature.dtype)


def _shape(key: str, feature: Any) -> TensorShape:
    if feature.shape is None:
        raise ValueError(f"Missing shape for feature {key}.")
    shape = as_shape(feature.shape)
    if not shape.is_fully_defined():
        if isinstance(feature, FixedLenFeature) and shape.ndims and shape.sizes[0] is None:
            raise ValueError(
                f"First dimension of shape for feature {key} unknown. Consider using "
                "FixedLenSequenceFeature."
            )
        raise ValueError(
            f"All dimensions of shape for feature {key} need to be known but received {feature.shape}."
        )
    if isinstance(feature, FixedLenSequenceFeature):
        if not feature.allow_missing:
            raise ValueError(
                "Unsupported: FixedLenSequenceFeature requires allow_missing to be True."
            )
        return TensorShape([None]).concatenate(shape)
    return shape


def _default(key: str, feature: Any, shape: TensorShape) -> Tensor:
    kind, given = as_dtype(feature.dtype), feature.default_value
    clean = re.sub(r"[^A-Za-z0-9_.\-/]", "_", key)
    if isinstance(feature, FixedLenSequenceFeature):
        if given is None:
            return convert("" if kind.name == "string" else 0, kind)
        return apply("Reshape", convert(given, kind, f"padding_{clean}"), [])  # type: ignore[no-any-return]
    if given is None:
        return constant([], kind)
    if isinstance(given, Tensor):
        return given
    return apply("Reshape", convert(given, kind, f"key_{clean}"), shape.as_list())  # type: ignore[no-any-return]


def parse_example(
    serialized: Any, features: Any, name: Any = None, example_names: Any = None
) -> dict[str, Tensor]:
    """The features of several serialized examples, stacked; names stand in messages only."""
    names = [] if example_names is None else example_names
    with name_scope(name, "ParseExample", [serialized, names]):
        found = _described(features)
        *_, dense = apply(
            "ParseExample", serialized, names, [], found.keys, found.defaults, Nsparse=0,
            sparse_types=[], dense_shapes=found.shapes, name=name,
        )  # fmt: skip
    return dict(zip(found.keys, dense, strict=True))


def parse_single_example(
    serialized: Any, features: Any, name: Any = None, example_names: Any = None
) -> dict[str, Tensor]:
    """The features of one serialized example."""
    if not features:
        raise ValueError("Missing features.")
    with name_scope(name, "ParseSingleExample", [serialized]):
        text = convert(serialized, "string", "serialized")
        found = _described(features)
        *_, dense = apply(
            "ParseSingleExample", text, found.defaults, num_sparse=0, sparse_keys=[],
            sparse_types=[], dense_keys=found.keys, dense_shapes=found.shapes, name=name,
        )  # fmt: skip
    return dict(zip(found.keys, dense, strict=True))
