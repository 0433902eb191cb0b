"""TensorProto both ways, against numpy; sizes that the bytes do not fill."""

from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1.graph_io.tensors import tensor_of_proto, tensor_to_proto
from evenkeel.tf1.proto import TensorProto

KINDS = [
    "float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
    "uint64", "bool", "complex64", "complex128",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (1,), (3, 2), (0, 4)])
def test_every_type_comes_back(kind: str, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(2).integers(0, 100, shape)
    array = (values + (0.5j if kind.startswith("complex") else 0)).astype(kind)
    proto = TensorProto.FromString(tf.make_tensor_proto(array).SerializeToString())
    found = tf.make_ndarray(proto)
    assert found.dtype == array.dtype
    assert found.shape == shape
    assert np.array_equal(found, array)


@pytest.mark.parametrize("shape", [(), (2,)])
def test_bfloat16_is_the_upper_half_of_float32(shape: tuple[int, ...]) -> None:
    array = np.full(shape, 1.00390625 + 2**-9, np.float32)  # between two: ties go to even
    proto = tf.make_tensor_proto(array, tf.bfloat16)
    assert set(proto.half_val) == {0x3F81}
    assert np.all(tf.make_ndarray(proto) == np.float32(1.0078125))


def test_texts_and_quantized_values() -> None:
    assert tf.make_ndarray(tf.make_tensor_proto([b"a", b"\xff"])).tolist() == [b"a", b"\xff"]
    proto = TensorProto(dtype=11, int_val=[-3, 4])
    proto.tensor_shape.dim.add(size=2)
    assert tensor_of_proto(proto).tolist() == [-3, 4]


def proto_of(sizes: list[int], **fields: Any) -> Any:
    proto = TensorProto(dtype=fields.pop("dtype", 1), **fields)
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto


def test_short_values_fill_the_shape_with_the_last() -> None:
    assert tensor_of_proto(proto_of([2, 2], float_val=[1, 2])).tolist() == [[1, 2], [2, 2]]
    assert tensor_of_proto(proto_of([3])).tolist() == [0, 0, 0]
    assert tensor_of_proto(proto_of([2], dtype=7, string_val=[b"x"])).tolist() == [b"x", b"x"]
    filled = tensor_of_proto(proto_of([512, 512, 1024], float_val=[1.5]))  # 1 GiB that is not there
    assert filled.strides == (0, 0, 0)
    assert filled.base.nbytes == 4
    assert len(tensor_to_proto(filled, tf.float32).SerializeToString()) < 64


@pytest.mark.parametrize(
    ("proto", "words"),
    [
        (proto_of([2**40], float_val=[1]), "larger than"),
        (proto_of([2**62, 2**62], float_val=[1]), "larger than"),
        (proto_of([-5], float_val=[1]), "dimension of size -5"),
        (proto_of([-1], float_val=[1]), "needs a known shape"),
        (proto_of([4], tensor_content=b"123"), "needs 16 bytes, and tensor_content has 3"),
        (proto_of([1], float_val=[1, 2]), "1 values, and 2 stored"),
        (proto_of([3], dtype=7, string_val=[b"a", b"b"]), "3 texts has 2 stored"),
        (proto_of([2**50], dtype=7), "larger than"),
        (proto_of([1], dtype=99), "99"),
    ],
)
def test_sizes_that_the_bytes_do_not_have_are_refused(proto: Any, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        tensor_of_proto(proto)
