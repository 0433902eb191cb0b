"""Bytes as numbers: raw memory, serialized examples, CSV."""

import csv
import io
from typing import Any

import numpy as np

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape
from evenkeel.tf1.values import to_numpy, to_torch

_FIELDS = {"float32": "float_list", "int64": "int64_list", "string": "bytes_list"}


def _one_axis_more(node: Any) -> list[TensorShape]:
    return [node.inputs[0].shape.concatenate([None])]


@op("DecodeRaw", shape=_one_axis_more)
def decode_raw(strings: Any, *, out_type: Any, little_endian: bool, op: Any) -> Any:
    """The bytes of each string as numbers; all strings have one length."""
    texts = np.asarray(strings, object)
    flat = texts.reshape(-1)
    kind = np.dtype(out_type.as_numpy_dtype)
    for index, one in enumerate(flat):
        if len(one) != len(flat[0]):
            raise errors.InvalidArgumentError(
                None, op,
                "DecodeRaw requires input strings to all be the same size, but element "
                f"{index} has size {len(flat[0])} != {len(one)}",
            )  # fmt: skip
        if len(one) % kind.itemsize:
            raise errors.InvalidArgumentError(
                None, op,
                f"Input to DecodeRaw has length {len(one)} that is not a multiple of "
                f"{kind.itemsize}, the size of {out_type.name}",
            )  # fmt: skip
    array = np.frombuffer(b"".join(flat), kind.newbyteorder("<" if little_endian else ">"))
    whole = array.astype(kind).reshape(*texts.shape, -1 if flat.size and len(flat[0]) else 0)
    return to_torch(whole, out_type)


class _Parser:
    """The dense features of examples: keys, types, shapes and defaults."""

    def __init__(
        self, keys: list[Any], types: Any, shapes: Any, defaults: list[Any], op: Any
    ) -> None:
        named = [k.decode() if isinstance(k, bytes) else str(k) for k in keys]
        self.rows = list(zip(named, types, shapes, defaults, strict=True))
        self._op = op

    def parse(self, serialized: bytes) -> list[Any]:
        """The features of one example, as arrays."""
        from google.protobuf.message import DecodeError

        from evenkeel.tf1.proto import Example

        try:
            example = Example.FromString(serialized)
        except DecodeError:
            raise errors.InvalidArgumentError(
                None, self._op, f"Could not parse example input, value: '{serialized[:100]!r}'"
            ) from None
        return [self._feature(example.features.feature, *row) for row in self.rows]

    def _feature(self, features: Any, key: str, kind: Any, shape: Any, default: Any) -> Any:
        sizes = list(shape.sizes)
        varies = bool(sizes) and sizes[0] is None
        field = features[key].WhichOneof("value") if key in features else None
        if field is None:
            return self._missing(key, kind, sizes, default, varies)
        if field != _FIELDS[kind.name]:
            raise self._refused(f"Key: {key}.  Data types don't match. Expected type: {kind.name}")
        values = list(getattr(features[key], field).value)
        if kind.name == "string":
            array = np.empty(len(values), object)
            array[:] = values
        else:
            array = np.array(values, kind.as_numpy_dtype)
        inner = [-1 if s is None else s for s in sizes]
        wanted = int(np.prod([s for s in inner if s >= 0], dtype=np.int64))
        if (varies and wanted and len(values) % wanted) or (not varies and len(values) != wanted):
            raise self._refused(
                f"Key: {key}, Index: 0.  Number of {kind.name} values != expected.  Values size: "
                f"{len(values)} but output shape: [{','.join(map(str, inner))}]"
            )
        return array.reshape(inner)

    def _missing(self, key: str, kind: Any, sizes: Any, default: Any, varies: bool) -> Any:
        array = np.asarray(to_numpy(default))
        if varies:
            return np.empty([0, *sizes[1:]], array.dtype)
        if array.size == 0 and int(np.prod(sizes, dtype=np.int64)):
            raise self._refused(
                f"Feature: {key} (data type: {kind.name}) is required but could not be found."
            )
        return array.reshape(sizes)

    def _refused(self, words: str) -> errors.InvalidArgumentError:
        return errors.InvalidArgumentError(None, self._op, words)


def _shapes(node: Any) -> list[TensorShape]:
    batch = node.inputs[0].shape[:1] if node.type == "ParseExample" else TensorShape([])
    return [batch.concatenate(shape) for shape in node.attrs["dense_shapes"]]


def _dense_only(node: Any, count: int) -> None:
    if count:
        raise errors.UnimplementedError(
            None, node, "features of varying length give sparse tensors, which are not part of this "
            "dialect; use FixedLenFeature, or FixedLenSequenceFeature with allow_missing=True",
        )  # fmt: skip


@op("ParseSingleExample", shape=_shapes)
def parse_single_example(
    serialized: Any, defaults: list[Any], *, dense_keys: Any, Tdense: Any, dense_shapes: Any,
    num_sparse: int, op: Any,
) -> Any:  # fmt: skip
    """The features of one example."""
    _dense_only(op, num_sparse)
    parser = _Parser(dense_keys, Tdense, dense_shapes, defaults, op)
    found = parser.parse(serialized.item())
    made = [to_torch(v, kind) for v, kind in zip(found, Tdense, strict=True)]
    return made[0] if len(made) == 1 else tuple(made)


@op("ParseExample", host=("dense_keys",), shape=_shapes)
def parse_example(
    serialized: Any, names: Any, sparse_keys: Any, dense_keys: Any, defaults: list[Any], *,
    Tdense: Any, dense_shapes: Any, Nsparse: int, op: Any,
) -> Any:  # fmt: skip
    """The features of several examples, stacked."""
    _dense_only(op, Nsparse)
    parser = _Parser(dense_keys, Tdense, dense_shapes, defaults, op)
    rows = [parser.parse(one) for one in np.asarray(serialized, object).reshape(-1)]
    columns = zip(zip(*rows, strict=True), Tdense, parser.rows, strict=True)
    made = [to_torch(_stacked(list(c), default), kind) for c, kind, (*_, default) in columns]
    return made[0] if len(made) == 1 else tuple(made)


def _stacked(values: list[Any], fill: Any) -> Any:
    """Arrays as one; those that are shorter on their first axis are filled up."""
    if len({v.shape for v in values}) == 1:
        return np.stack(values)
    longest = max(len(v) for v in values)
    one = np.asarray(to_numpy(fill)).reshape(-1)[0]
    whole = np.full((len(values), longest, *values[0].shape[1:]), one, values[0].dtype)
    for index, value in enumerate(values):
        whole[index, : len(value)] = value
    return whole


@op("DecodeCSV", shape=lambda node: [node.inputs[0].shape for _ in node.outputs])
def decode_csv(
    lines: Any, defaults: list[Any], *, OUT_TYPE: Any, field_delim: str, use_quote_delim: bool,
    na_value: str, select_cols: Any, op: Any,
) -> Any:  # fmt: skip
    """The columns of lines of text."""
    texts = np.asarray(lines, object)
    quoting: Any = csv.QUOTE_MINIMAL if use_quote_delim else csv.QUOTE_NONE
    rows = []
    for index, line in enumerate(texts.reshape(-1)):
        source = io.StringIO(line.decode("utf-8", "surrogateescape"))
        fields = next(csv.reader(source, delimiter=field_delim, quoting=quoting), [])
        fields = [fields[i] for i in select_cols] if select_cols else fields
        if len(fields) != len(OUT_TYPE):
            raise errors.InvalidArgumentError(
                None, op, f"Expect {len(OUT_TYPE)} fields but have {len(fields)} in record {index}"
            )
        rows.append(fields)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(OUT_TYPE)
    made = [
        _column(list(c), kind, default, na_value, op, number).reshape(texts.shape)
        for number, (c, kind, default) in enumerate(zip(columns, OUT_TYPE, defaults, strict=True))
    ]
    found = [to_torch(v, kind) for v, kind in zip(made, OUT_TYPE, strict=True)]
    return found[0] if len(found) == 1 else tuple(found)


def _column(fields: list[str], kind: Any, default: Any, missing: str, op: Any, number: int) -> Any:
    fallback = np.asarray(to_numpy(default)).reshape(-1)
    values: list[Any] = []
    for index, field in enumerate(fields):
        if field in ("", missing):
            if not fallback.size:
                raise errors.InvalidArgumentError(
                    None, op, f"Field {number} is required but missing in record {index}!"
                )
            values.append(fallback[0])
        elif kind.name == "string":
            values.append(field.encode("utf-8", "surrogateescape"))
        else:
            try:
                values.append(np.dtype(kind.as_numpy_dtype).type(field))
            except (ValueError, OverflowError):
                raise errors.InvalidArgumentError(
                    None,
                    op,
                    f"Field {number} in record {index} is not a valid {kind.name}: {field}",
                ) from None
    array = np.empty(len(values), object if kind.name == "string" else kind.as_numpy_dtype)
    array[:] = values
    return array


@op("StringToNumber", shape=lambda node: [node.inputs[0].shape])
def string_to_number(strings: Any, *, out_type: Any, op: Any) -> Any:
    """Text as numbers."""
    texts = np.asarray(strings, object)
    kind = np.dtype(out_type.as_numpy_dtype).type
    try:
        values = [kind(one.decode().strip()) for one in texts.reshape(-1)]
    except ValueError as error:
        words = f"StringToNumberOp could not correctly convert string: {error}"
        raise errors.InvalidArgumentError(None, op, words) from None
    return to_torch(np.array(values, kind).reshape(texts.shape), out_type)
