"""Datasets of files: lines, records of one length, TFRecords; and lists of files."""

from collections.abc import Callable
from typing import Any

from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.data.dataset import AUTOTUNE, Dataset
from evenkeel.tf1.data.experimental import interleaved
from evenkeel.tf1.data.structure import TensorSpec
from evenkeel.tf1.dtypes import int64, string
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import TensorShape
from evenkeel.tf1.stacks import get_default_graph

_TEXT = TensorSpec(TensorShape([]), string)
_BUFFER = 256 * 1024  # TensorFlow's own; its size changes nothing here


class _FileDataset(Dataset):
    """The elements of each file of a list, file after file; several at once in turn."""

    def __init__(self, filenames: Any, read: Callable[[Tensor], Tensor], parallel: Any) -> None:
        files = _files(filenames)

        def one(name: Tensor) -> Dataset:
            return Dataset(read(name), _TEXT)

        if parallel is None:
            made = files.flat_map(one)
        elif parallel == AUTOTUNE:
            made = files.interleave(one, num_parallel_calls=parallel)
        else:
            made = interleaved(files, one, parallel)
        super().__init__(made._variant_tensor, _TEXT, (files,), made._captured)


def _files(filenames: Any) -> Dataset:
    if isinstance(filenames, Dataset):
        if filenames.output_types != string:
            raise TypeError("`filenames` must be a `tf.data.Dataset` of `tf.string` elements.")
        if not filenames.output_shapes.is_compatible_with([]):
            raise TypeError(
                "`filenames` must be a `tf.data.Dataset` of scalar `tf.string` elements."
            )
        return filenames
    flat = apply("Reshape", convert(filenames, string), [-1], name="flat_filenames")
    return Dataset.from_tensor_slices(flat)


def _number(value: Any, name: str, default: int = 0) -> Tensor:
    return convert(default if value is None else value, int64, name)


def _packing(value: Any) -> Tensor:
    return convert("" if value is None else value, string, "compression_type")


class _PlainDataset(_FileDataset):
    _kind: str

    def __init__(
        self, filenames: Any, compression_type: Any = None, buffer_size: Any = None,
        num_parallel_reads: Any = None,
    ) -> None:  # fmt: skip
        def read(name: Tensor) -> Tensor:
            size = _packing(compression_type), _number(buffer_size, "buffer_size", _BUFFER)
            return apply(self._kind, name, *size)  # type: ignore[no-any-return]

        super().__init__(filenames, read, num_parallel_reads)


class TextLineDataset(_PlainDataset):
    """The lines of text files, without their ends. ``buffer_size`` is a hint without meaning here."""

    _kind = "TextLineDataset"


class TFRecordDataset(_PlainDataset):
    """The records of TFRecord files. ``buffer_size`` is a hint without meaning here."""

    _kind = "TFRecordDataset"


class FixedLengthRecordDataset(_FileDataset):
    """Records of ``record_bytes`` between header and footer. ``buffer_size`` is a hint."""

    def __init__(
        self, filenames: Any, record_bytes: Any, header_bytes: Any = None, footer_bytes: Any = None,
        buffer_size: Any = None, compression_type: Any = None, num_parallel_reads: Any = None,
    ) -> None:  # fmt: skip
        def read(name: Tensor) -> Tensor:
            size = _number(record_bytes, "record_bytes")
            head, foot = (
                _number(header_bytes, "header_bytes"), _number(footer_bytes, "footer_bytes"),
            )  # fmt: skip
            buffer = _number(buffer_size, "buffer_size", _BUFFER)
            packing = _packing(compression_type)
            return apply(  # type: ignore[no-any-return]
                "FixedLengthRecordDatasetV2", name, head, size, foot, buffer, packing
            )

        super().__init__(filenames, read, num_parallel_reads)


def files_matching(file_pattern: Any, shuffle: bool, seed: Any) -> Dataset:
    """The names of the files that match patterns; an error where none does, when it runs."""
    from evenkeel.tf1.api.arrays import identity, shape
    from evenkeel.tf1.api.control import Assert

    with name_scope("list_files"):
        pattern = convert(file_pattern, string, "file_pattern")
        found = apply("MatchingFiles", pattern)
        some = apply("Greater", shape(found)[0], 0, name="match_not_empty")
        words = "No files matched the patterns"
        check = Assert(some, [words, pattern], summarize=1, name="assert_not_empty")
        with get_default_graph().control_dependencies([check]):
            names = identity(found)
        dataset = Dataset.from_tensor_slices(names)
        if not shuffle:
            return dataset
        count = apply("Maximum", shape(names, out_type=int64)[0], 1)
        return dataset.shuffle(count, seed=seed)


__all__ = ["FixedLengthRecordDataset", "TFRecordDataset", "TextLineDataset", "files_matching"]
