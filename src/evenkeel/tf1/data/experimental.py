"""``tf.data.experimental``: transformations for ``Dataset.apply``."""

from collections.abc import Callable
from typing import Any

from evenkeel.tf1.build import apply, constant, convert
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.data import structure
from evenkeel.tf1.data.dataset import AUTOTUNE, Dataset, _to_dataset, batched, seed_tensors
from evenkeel.tf1.data.functions import as_function
from evenkeel.tf1.data.options import OptimizationOptions, ThreadingOptions
from evenkeel.tf1.data.structure import TensorSpec
from evenkeel.tf1.dtypes import int64

__all__ = [
    "AUTOTUNE", "OptimizationOptions", "ThreadingOptions", "ignore_errors", "map_and_batch",
    "parallel_interleave", "shuffle_and_repeat", "unbatch",
]  # fmt: skip
Transformation = Callable[[Dataset], Dataset]


def shuffle_and_repeat(buffer_size: Any, count: Any = None, seed: Any = None) -> Transformation:
    """Several passes, each in an order of its own."""

    def change(dataset: Dataset) -> Dataset:
        size = convert(buffer_size, int64, "buffer_size")
        passes = (
            constant(-1, int64, name="count") if count is None else convert(count, int64, "count")
        )
        return dataset._then("ShuffleAndRepeatDataset", size, *seed_tensors(seed), passes)

    return change


def map_and_batch(
    map_func: Callable[..., Any], batch_size: Any, num_parallel_batches: Any = None,
    drop_remainder: Any = False, num_parallel_calls: Any = None,
) -> Transformation:  # fmt: skip
    """A function of each element, and several results in one. How many at once is a hint."""
    if num_parallel_batches is not None and num_parallel_calls is not None:
        raise ValueError(
            "The `num_parallel_batches` and `num_parallel_calls` arguments are mutually exclusive."
        )
    calls = batch_size * (num_parallel_batches or 1)
    calls = calls if num_parallel_calls is None else num_parallel_calls

    def change(dataset: Dataset) -> Dataset:
        made = as_function(map_func, dataset.element_spec, "tf.data.experimental.map_and_batch()")
        size = convert(batch_size, int64, "batch_size")
        many = convert(calls, int64, "num_parallel_calls")
        drop = convert(drop_remainder, "bool", "drop_remainder")
        spec = batched(made.spec, size, drop)
        return dataset._then(
            "MapAndBatchDataset", made.captured, size, many, drop, f=made.function, spec=spec,
            captured=made.captured,
        )  # fmt: skip

    return change


def parallel_interleave(
    map_func: Callable[..., Any], cycle_length: Any, block_length: Any = 1, sloppy: Any = False,
    buffer_output_elements: Any = None, prefetch_input_elements: Any = None,
) -> Transformation:  # fmt: skip
    """Several datasets in turn; ``sloppy`` allows another order, and the buffers are hints."""
    return lambda dataset: interleaved(
        dataset, map_func, cycle_length, block_length, sloppy, buffer_output_elements,
        prefetch_input_elements,
    )  # fmt: skip


def interleaved(
    dataset: Dataset, map_func: Callable[..., Any], cycle: Any, block: Any = 1, sloppy: Any = False,
    outputs: Any = None, inputs: Any = None,
) -> Dataset:  # fmt: skip
    """The node of ``parallel_interleave``."""
    made = _to_dataset(map_func, dataset.element_spec, "tf.data.experimental.parallel_interleave()")
    counts = [
        convert(cycle, int64, "cycle_length"),
        convert(block, int64, "block_length"),
        convert(sloppy, "bool", "sloppy"),
        convert(2 * block if outputs is None else outputs, int64, "buffer_output_elements"),
        convert(2 * cycle if inputs is None else inputs, int64, "prefetch_input_elements"),
    ]
    kind = "ParallelInterleaveDataset"
    return dataset._then(kind, made.captured, *counts, f=made.function, **made.attrs)


def ignore_errors() -> Transformation:
    """The elements that can be computed, without those whose computation fails."""
    return lambda dataset: dataset._then("IgnoreErrorsDataset")


def unbatch() -> Transformation:
    """The rows of each element, one by one."""

    def change(dataset: Dataset) -> Dataset:
        same = dataset.map(lambda *parts: parts if len(parts) > 1 else parts[0])
        spec = structure.mapped(lambda s: TensorSpec(s.shape[1:], s.dtype), dataset.element_spec)
        node = apply("UnbatchDataset", same._variant_tensor, **structure.attrs_of(spec))
        return Dataset(node, spec, (same,))

    return change


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.data.experimental.{name}", __all__)
