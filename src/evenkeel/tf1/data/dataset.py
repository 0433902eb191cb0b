"""``tf.data.Dataset``: one node for each transformation, named and ordered as TensorFlow's."""

from collections.abc import Callable
from typing import Any

from evenkeel.tf1.build import apply, constant, convert, name_scope
from evenkeel.tf1.data import structure
from evenkeel.tf1.data.functions import MappedFunction, as_function
from evenkeel.tf1.data.generators import Generator
from evenkeel.tf1.data.iterator import Iterator, OneShot, started
from evenkeel.tf1.data.options import Options
from evenkeel.tf1.data.padding import padding_of
from evenkeel.tf1.data.structure import DatasetSpec, TensorSpec
from evenkeel.tf1.dtypes import as_dtype, int64, variant
from evenkeel.tf1.fold import constant_value
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.random.seeds import op_seeds
from evenkeel.tf1.shapes import TensorShape
from evenkeel.tf1.stacks import get_default_graph

AUTOTUNE = -1
_OPTIMIZATIONS = ("map_and_batch_fusion", "noop_elimination", "shuffle_and_repeat_fusion")


class Dataset(structure.Structured):
    """A sequence of elements, each a nested tuple or dictionary of tensors.

    Source:  tf.data.Dataset of TensorFlow 1.15; a seeded ``shuffle`` gives TensorFlow's order

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     dataset = Dataset.range(6).shuffle(4, seed=1).batch(2)
    ...     element = dataset.make_one_shot_iterator().get_next()
    ...     [sess.run(element).tolist() for _ in range(3)]
    [[0, 4], [5, 2], [3, 1]]
    """

    def __init__(
        self, variant_tensor: Tensor, spec: Any, inputs: tuple["Dataset", ...] = (),
        captured: tuple[Tensor, ...] = (), options: Options | None = None,
    ) -> None:  # fmt: skip
        self._variant_tensor, self._spec, self._inputs = variant_tensor, spec, inputs
        self._captured, self._options = captured, options

    def _spec_of(self) -> DatasetSpec:
        return DatasetSpec(self._spec)

    # ---- what it is

    def options(self) -> Options:
        """The options that hold here: those given last."""
        if self._options is not None:
            return self._options
        found = [d.options() for d in self._inputs]
        return next((o for o in found if o != Options()), Options())

    def with_options(self, options: Options) -> "Dataset":
        """The same elements under other options."""
        return Dataset(self._variant_tensor, self._spec, (self,), options=options)

    def __iter__(self) -> Any:
        raise RuntimeError(
            "__iter__() is only supported inside of tf.function or when eager execution is enabled."
        )

    def __repr__(self) -> str:
        return f"<Dataset shapes: {self.output_shapes}, types: {self.output_types}>"

    # ---- sources

    @staticmethod
    def from_tensors(tensors: Any) -> "Dataset":
        """One element."""
        element = structure.normalized(tensors)
        return _source("TensorDataset", element, structure.spec_of(element))

    @staticmethod
    def from_tensor_slices(tensors: Any) -> "Dataset":
        """An element for each index of the first axis, which every component has."""
        element = structure.normalized(tensors)
        whole = structure.spec_of(element)
        size = TensorShape([None])
        for leaf in structure.flatten(whole):
            if leaf.shape.ndims == 0:
                raise ValueError("Cannot batch or slice a scalar: a component needs an axis.")
            size = size.merge_with(leaf.shape[:1])
        spec = structure.mapped(lambda s: TensorSpec(s.shape[1:], s.dtype), whole)
        return _source("TensorSliceDataset", element, spec)

    @staticmethod
    def from_generator(
        generator: Callable[..., Any],
        output_types: Any,
        output_shapes: Any = None,
        args: Any = None,
    ) -> "Dataset":
        """What a Python generator yields: ``generator(*args)`` is called for each pass."""
        if not callable(generator):
            raise TypeError("`generator` must be callable.")
        spec = structure.specs_of(output_types, output_shapes)
        given = [convert(a, name=f"args_{i}") for i, a in enumerate(args or ())]
        made = Generator(generator, output_types, spec)

        def inside(_: Tensor) -> Dataset:
            attrs = structure.attrs_of(spec)
            functions: dict[str, Any] = {
                "init_func": made,
                "next_func": made,
                "finalize_func": made,
            }
            node = apply("GeneratorDataset", given, [], [], **functions, **attrs)
            return Dataset(node, spec)

        return Dataset.from_tensors(0).flat_map(inside)

    @staticmethod
    def range(*args: Any) -> "Dataset":
        """Numbers: ``range(stop)``, ``range(start, stop)``, ``range(start, stop, step)``."""
        if not 1 <= len(args) <= 3:
            raise ValueError(f"Invalid arguments to RangeDataset: {args}")
        bounds = (0, args[0], 1) if len(args) == 1 else (*args, 1)[:3]
        names = ("start", "stop", "step")
        tensors = [convert(b, int64, n) for b, n in zip(bounds, names, strict=True)]
        spec = TensorSpec(TensorShape([]), int64)
        return Dataset(apply("RangeDataset", *tensors, **structure.attrs_of(spec)), spec)

    @staticmethod
    def zip(datasets: Any) -> "Dataset":
        """The elements of several datasets side by side, to the end of the shortest."""
        flat = structure.flatten(datasets)
        if not all(isinstance(d, Dataset) for d in flat):
            hint = (
                " Nested structures do not support Python lists; please use a tuple instead."
                if any(isinstance(d, list) for d in flat)
                else ""
            )
            raise TypeError(
                "The argument to `Dataset.zip()` must be a nested structure of `Dataset` objects."
                + hint
            )
        spec = structure.mapped(lambda d: d.element_spec, datasets)
        node = apply("ZipDataset", [d._variant_tensor for d in flat], **structure.attrs_of(spec))
        return Dataset(node, spec, tuple(flat))

    @staticmethod
    def list_files(file_pattern: Any, shuffle: bool | None = None, seed: Any = None) -> "Dataset":
        """The files that match patterns, shuffled unless told not to."""
        from evenkeel.tf1.data.readers import files_matching

        return files_matching(file_pattern, shuffle is None or shuffle, seed)

    # ---- transformations

    def _then(
        self, kind: str, *inputs: Any, spec: Any = None, captured: Any = (), **attrs: Any
    ) -> "Dataset":
        """The dataset of a node whose first input is this one."""
        chosen = self._spec if spec is None else spec
        attrs |= {} if kind.startswith("PaddedBatch") else structure.attrs_of(chosen)
        node = apply(kind, self._variant_tensor, *inputs, **attrs)
        return Dataset(node, chosen, (self,), tuple(captured))

    def concatenate(self, dataset: "Dataset") -> "Dataset":
        """These elements, then those of another dataset."""
        types = [d.output_types for d in (self, dataset)]
        if types[0] != types[1]:
            raise TypeError(
                f"Two datasets to concatenate have different types {types[0]} and {types[1]}"
            )
        pairs = zip(structure.flatten(self._spec), structure.flatten(dataset._spec), strict=True)
        merged = [TensorSpec(_most_specific(a.shape, b.shape), a.dtype) for a, b in pairs]
        spec = structure.pack(self._spec, merged)
        node = apply(
            "ConcatenateDataset", self._variant_tensor, dataset._variant_tensor,
            **structure.attrs_of(spec),
        )  # fmt: skip
        return Dataset(node, spec, (self, dataset))

    def prefetch(self, buffer_size: Any) -> "Dataset":
        """The same elements, computed ahead on a thread."""
        size = AUTOTUNE if buffer_size is None else buffer_size
        return self._then("PrefetchDataset", convert(size, int64, "buffer_size"))

    def repeat(self, count: Any = None) -> "Dataset":
        """Several passes; without ``count``, or with -1, no end."""
        made = (
            constant(-1, int64, name="count") if count is None else convert(count, int64, "count")
        )
        return self._then("RepeatDataset", made)

    def shuffle(
        self, buffer_size: Any, seed: Any = None, reshuffle_each_iteration: bool | None = None
    ) -> "Dataset":
        """The elements in random order, drawn from a buffer of ``buffer_size``."""
        size = convert(buffer_size, int64, "buffer_size")
        again = reshuffle_each_iteration is None or reshuffle_each_iteration
        return self._then(
            "ShuffleDataset", size, *seed_tensors(seed), reshuffle_each_iteration=again
        )

    def cache(self, filename: str = "") -> "Dataset":
        """The same elements, kept in memory after the first whole pass."""
        return self._then("CacheDataset", convert(filename, "string", "filename"))

    def take(self, count: Any) -> "Dataset":
        """The first elements; -1: all."""
        return self._then("TakeDataset", convert(count, int64, "count"))

    def skip(self, count: Any) -> "Dataset":
        """All but the first elements; -1: none."""
        return self._then("SkipDataset", convert(count, int64, "count"))

    def shard(self, num_shards: Any, index: Any) -> "Dataset":
        """Every ``num_shards``-th element, from ``index`` on."""
        counts = convert(num_shards, int64, "num_shards"), convert(index, int64, "index")
        return self._then("ShardDataset", *counts)

    def batch(self, batch_size: Any, drop_remainder: Any = False) -> "Dataset":
        """Several elements in one, along a new first axis."""
        size = convert(batch_size, int64, "batch_size")
        drop = convert(drop_remainder, "bool", "drop_remainder")
        spec = batched(self._spec, size, drop)
        return self._then("BatchDatasetV2", size, drop, spec=spec)

    def padded_batch(
        self, batch_size: Any, padded_shapes: Any, padding_values: Any = None,
        drop_remainder: Any = False,
    ) -> "Dataset":  # fmt: skip
        """Several elements in one, each filled up to one shape; -1 or None: the longest there."""
        size = convert(batch_size, int64, "batch_size")
        shapes, fills, inner = padding_of(self._spec, padded_shapes, padding_values)
        drop = convert(drop_remainder, "bool", "drop_remainder")
        spec = batched(inner, size, drop)
        flat = [s.shape for s in structure.flatten(spec)]
        return self._then(
            "PaddedBatchDatasetV2", size, shapes, fills, drop, spec=spec, output_shapes=flat
        )

    def map(self, map_func: Callable[..., Any], num_parallel_calls: Any = None) -> "Dataset":
        """A function of each element."""
        made = as_function(map_func, self._spec, "Dataset.map()")
        attrs = {"f": made.function, "spec": made.spec, "captured": made.captured}
        if num_parallel_calls is None:
            return self._then("MapDataset", made.captured, **attrs)
        calls = convert(num_parallel_calls, "int32", "num_parallel_calls")
        return self._then("ParallelMapDataset", made.captured, calls, **attrs)

    def flat_map(self, map_func: Callable[..., Any]) -> "Dataset":
        """The datasets that a function makes of the elements, one after the other."""
        made = _to_dataset(map_func, self._spec, "Dataset.flat_map()")
        return self._then("FlatMapDataset", made.captured, f=made.function, **made.attrs)

    def interleave(
        self, map_func: Callable[..., Any], cycle_length: Any = AUTOTUNE, block_length: Any = 1,
        num_parallel_calls: Any = None,
    ) -> "Dataset":  # fmt: skip
        """The datasets that a function makes of the elements, several in turn."""
        made = _to_dataset(map_func, self._spec, "Dataset.interleave()")
        counts = [
            convert(cycle_length, int64, "cycle_length"),
            convert(block_length, int64, "block_length"),
        ]
        kind = "InterleaveDataset"
        if num_parallel_calls is not None:
            kind = "ParallelInterleaveDatasetV2"
            counts.append(convert(num_parallel_calls, int64, "num_parallel_calls"))
        return self._then(kind, made.captured, *counts, f=made.function, **made.attrs)

    def filter(self, predicate: Callable[..., Any]) -> "Dataset":
        """The elements of which a function is true."""
        made = as_function(predicate, self._spec, "Dataset.filter()")
        spec = made.spec
        fits = isinstance(spec, TensorSpec) and spec.dtype == as_dtype("bool")
        if not fits or not spec.shape.is_compatible_with([]):
            raise ValueError(
                f"`predicate` return type must be convertible to a scalar boolean tensor. Was {spec}."
            )
        return self._then(
            "FilterDataset", made.captured, predicate=made.function, captured=made.captured
        )

    def reduce(self, initial_state: Any, reduce_func: Callable[..., Any]) -> Any:
        """The state after a function has changed it with each element."""
        with name_scope("initial_state"):
            state = structure.normalized(initial_state)
        spec = structure.spec_of(state)
        made = as_function(reduce_func, (spec, self._spec), "reduce()")
        structure.check_compatible(spec, made.spec)
        flat = apply(
            "ReduceDataset", self._variant_tensor, structure.flat_tensors(state), made.captured,
            f=made.function, **structure.attrs_of(made.spec),
        )  # fmt: skip
        return structure.pack(spec, flat)

    def apply(self, transformation_func: Callable[["Dataset"], Any]) -> "Dataset":
        """What a function makes of this dataset."""
        dataset = transformation_func(self)
        if not isinstance(dataset, Dataset):
            raise TypeError(f"`transformation_func` must return a Dataset. Got {dataset}.")
        return dataset

    # ---- iterators

    def make_one_shot_iterator(self) -> Iterator:
        """An iterator that goes once through the dataset, without being initialized."""
        fuses = self.options().fuses
        factory = OneShot(self._variant_tensor, fuses)
        attrs = structure.attrs_of(self._spec)
        return Iterator(
            apply("OneShotIterator", dataset_factory=factory, **attrs), None, self._spec
        )

    def make_initializable_iterator(self, shared_name: str | None = None) -> Iterator:
        """An iterator that starts whenever its ``initializer`` runs."""
        node = self._optimized()
        attrs = structure.attrs_of(self._spec)
        resource = apply("IteratorV2", shared_name=shared_name or "", container="", **attrs)
        return Iterator(resource, started(node, resource), self._spec)

    def _optimized(self) -> Tensor:
        node, attrs, options = self._variant_tensor, structure.attrs_of(self._spec), self.options()
        if options.fuses and not self._captures_reference():
            names = constant(list(_OPTIMIZATIONS), "string", name="optimizations")
            node = apply("OptimizeDataset", node, names, **attrs)
        return apply("ModelDataset", node, **attrs) if options.autotunes else node

    def _captures_reference(self) -> bool:
        """Whether a function below reads a variable: TensorFlow then changes no order."""
        return any(_reads_variable(t) for t in self._captured) or any(
            d._captures_reference() for d in self._inputs
        )


def _reads_variable(tensor: Tensor) -> bool:
    return tensor.dtype.is_ref or any(_reads_variable(t) for t in tensor.op.inputs)


def _source(kind: str, element: Any, spec: Any) -> Dataset:
    tensors = structure.flat_tensors(element)
    shapes = [s.shape for s in structure.flatten(spec)]
    return Dataset(apply(kind, tensors, output_shapes=shapes), spec)


def _to_dataset(function: Callable[..., Any], spec: Any, where: str) -> MappedFunction:
    made = as_function(function, spec, where)
    if not isinstance(made.spec, DatasetSpec) or made.spec.dtype != variant:
        raise TypeError(f"`map_func` must return a `Dataset` object. Got {type(made.spec)}")
    return made


def batched(spec: Any, size: Tensor, drop: Tensor) -> Any:
    """The spec of several elements in one; the size is known where none remain."""
    known = constant_value(size) if constant_value(drop) else None
    count = None if known is None else int(known)
    return structure.mapped(lambda s: s.batched(count), spec)


def _most_specific(a: TensorShape, b: TensorShape) -> TensorShape:
    if a.ndims is None or b.ndims is None or a.ndims != b.ndims:
        return TensorShape(None)
    pairs = zip(a.sizes, b.sizes, strict=True)
    return TensorShape([x if x == y else None for x, y in pairs])


def seed_tensors(seed: Any) -> tuple[Tensor, Tensor]:
    """The seeds of a dataset, as TensorFlow's nodes."""
    graph = get_default_graph()
    first, second = op_seeds(graph.seed, seed, graph._last_id)
    one = constant(first or 0, int64, name="seed")
    if second is None:
        return one, constant(0, int64, name="seed2")
    with name_scope("seed2") as scope:
        two = convert(second, int64)
        zeros = apply("LogicalAnd", apply("Equal", one, 0), apply("Equal", two, 0))
        last = constant(2**31 - 1, int64)
        return one, apply("Select", zeros, last, two, name=scope)
