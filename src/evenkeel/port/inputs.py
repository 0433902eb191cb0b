"""What a graph is fed: its inputs found and filled with a probe, its modes set, its variables given."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from evenkeel.errors import BadOption
from evenkeel.port.measured import Moving
from evenkeel.port.reading import VARIABLES, Reading
from evenkeel.port.source import Source
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.values import to_torch

BATCH, OTHER = 16, 5  # what differs between the two is the batch
_PLACEHOLDERS = frozenset(("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"))
_PIPELINES = frozenset(
    ("IteratorGetNext", "QueueDequeueV2", "QueueDequeueManyV2", "QueueDequeueUpToV2")
)
Feeds = Mapping[str, Any]
# NumPy's kind of a placeholder -> kinds of values that it takes without a loss.
_TAKEN = {"b": "b", "i": "iu", "u": "iu", "f": "biuf", "O": "OSU", "S": "OSU"}


@dataclass(frozen=True)
class Given:
    """A graph in three readings: inference, inference with another batch, training."""

    inputs: list[Tensor]
    reading: Reading
    other: Reading
    training: Reading
    moving: Moving
    fed: Mapping[Tensor, Any]
    variables: Mapping[str, Any]

    @property
    def has_training(self) -> bool:
        """Whether training differs from inference by something that is fed or a variable."""
        fed = self.moving.fed
        same = all(np.array_equal(np.asarray(v), np.asarray(fed[t])) for t, v in self.fed.items())
        return not same or self._by_variable

    @property
    def _by_variable(self) -> bool:
        pairs = ((v, self.moving.variables[n]) for n, v in self.variables.items())
        return any(a is not b and bool((a != b).any()) for a, b in pairs)


def given(
    source: Source, output: Tensor, feeds: Feeds, training_feeds: Feeds,
    shapes: Mapping[str, Sequence[int]],
) -> Given:  # fmt: skip
    """The readings of a graph for one output.

    Raises:  BadOption for an input whose size is open, a shape that is not the graph's, a placeholder
             without a value or with one of another type
    """
    graph = source.graph
    modes = {mode: _modes(graph, mode) for mode in (False, True)}
    inference = {**modes[False], **_named(source, feeds)}
    training = {**modes[True], **_named(source, {**feeds, **training_feeds})}
    variables = _variables(source)
    inputs = _inputs(output, Reading(variables, inference), inference)
    sizes = {t: _sizes(t, source, shapes) for t in inputs}
    fed = {n: {t: _probe(t, sizes[t], n) for t in inputs} for n in (BATCH, OTHER)}
    others = dict(_others(graph, {*inputs, *training}))
    moving = Moving(
        graph,
        _in_training(variables),
        {**others, **training, **fed[BATCH]},
        frozenset((*inputs, *others)),
    )
    return Given(
        inputs,
        Reading(variables, {**inference, **fed[BATCH]}),
        Reading(variables, {**inference, **fed[OTHER]}),
        moving.reading(),
        moving,
        {**inference, **fed[BATCH]},
        variables,
    )


def _modes(graph: Graph, value: bool) -> dict[Tensor, Any]:
    """Placeholders of one bool: what programs call is_training."""
    found = {}
    for op in graph.operations.values():
        is_bool = op.type in _PLACEHOLDERS and op.outputs[0].dtype.base_dtype.name == "bool"
        if is_bool and not op.outputs[0].shape.ndims:  # 0, or not known
            found[op.outputs[0]] = np.array(value)
    return found


def _named(source: Source, feeds: Feeds) -> dict[Tensor, Any]:
    pairs = ((source.tensor(name), value) for name, value in feeds.items())
    return {tensor: _fitting(tensor, value) for tensor, value in pairs}


def _fitting(tensor: Tensor, value: Any) -> Any:
    """A value as an array of the kind that a placeholder takes."""
    found, kind = np.asarray(value), np.dtype(tensor.dtype.base_dtype.as_numpy_dtype).kind
    if found.dtype.kind in _TAKEN.get(kind, kind):
        return found
    raise BadOption(
        "this is no value of the placeholder's type",
        got=f"{value!r} for {tensor.op.name} of type {tensor.dtype.base_dtype.name}",
        do="give true or false for a bool, a number for numbers",
    )


def _variables(source: Source) -> dict[str, Any]:
    """The values of variables; one bool is the mode, as TFLearn keeps it: False."""
    found = {}
    for op in source.graph.operations.values():
        if op.type not in VARIABLES:
            continue
        dtype = op.attrs.get("dtype", op.outputs[0].dtype).base_dtype
        if dtype.name == "bool" and op.outputs[0].shape.ndims == 0:
            found[op.name] = to_torch(np.array(False), dtype)
        elif op.name in source.values:
            found[op.name] = to_torch(source.values[op.name], dtype)
    return found


def _in_training(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {n: ~v if v.dtype == torch.bool and not v.ndim else v for n, v in variables.items()}


def _inputs(output: Tensor, reading: Reading, fed: Mapping[Tensor, Any]) -> list[Tensor]:
    """What the output is computed from that nobody has given, in order of creation."""
    found = {t for t in _ends(output, reading) if t not in fed}
    if not found:
        raise BadOption(
            "the output depends on no input",
            got=f"{output.name}, of type {output.op.type}",
            do="ask for a tensor that is computed from a placeholder",
        )
    return sorted(found, key=lambda t: t.op._id)


def _ends(output: Tensor, reading: Reading) -> Iterator[Tensor]:
    seen: set[Tensor] = set()
    todo = [output]
    while todo:
        tensor = todo.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        if _is_input(tensor):
            yield tensor
            continue
        behind = None if tensor in reading.fed else reading.behind(tensor)
        if behind is not None:
            todo.append(behind)
        elif tensor not in reading.fed and tensor.op.type not in VARIABLES:
            todo += tensor.op.inputs


def _is_input(tensor: Tensor) -> bool:
    op = tensor.op
    if op.type == "PlaceholderWithDefault":
        return tensor.shape.ndims is not None and None in tensor.shape.sizes
    return op.type in _PIPELINES or (op.type in _PLACEHOLDERS and tensor.shape.ndims != 0)


def _sizes(
    tensor: Tensor, source: Source, shapes: Mapping[str, Sequence[int]]
) -> tuple[int | None, ...]:
    """The shape of an input; None where the batch is."""
    for name, sizes in shapes.items():
        if not name or source.tensor(name) is tensor:
            return (None, *_checked(tensor, sizes))
    known = tensor.shape.sizes if tensor.shape.ndims is not None else (None, None)
    if None in known[1:]:
        raise BadOption(
            "the size of an input is open",
            got=f"{tensor.op.name} of shape {tensor.shape}",
            do=f"give it without the batch: --shape {tensor.op.name}=28,28,1",
            at=tensor.op.origin,
        )
    return tuple(known)


def _checked(tensor: Tensor, sizes: Sequence[int]) -> Sequence[int]:
    """Sizes from 1, where the graph has a shape those of it."""
    known = tensor.shape.sizes[1:] if tensor.shape.ndims else None
    fits = known is None or (
        len(known) == len(sizes) and all(k in (None, s) for k, s in zip(known, sizes, strict=True))
    )
    if not fits or any(size < 1 for size in sizes):
        raise BadOption(
            "this is no shape of the input",
            got=f"{','.join(map(str, sizes))} for {tensor.op.name} of shape {tensor.shape}",
            do="give the sizes behind the batch, each 1 or more, those of the graph where it has them",
            at=tensor.op.origin,
        )
    return sizes


def _probe(tensor: Tensor, sizes: Sequence[int | None], batch: int) -> Any:
    """Values like data: normal, or whole numbers that every table of an embedding has."""
    shape = [batch if size is None else size for size in sizes]
    kind = tensor.dtype.base_dtype.as_numpy_dtype
    rng = np.random.default_rng(0)
    if np.issubdtype(kind, np.floating) and not _holds_indices(tensor):
        return rng.standard_normal(shape).astype(kind)
    return rng.integers(0, 2, shape).astype(kind)


def _holds_indices(tensor: Tensor) -> bool:
    """Whether it is cast to whole numbers: TFLearn feeds indices of words as floats."""
    casts = [op for op in tensor.op._consumed if op.type == "Cast"]
    return any(op.outputs[0].dtype.base_dtype.is_integer for op in casts)


def _others(graph: Graph, known: set[Tensor]) -> Iterator[tuple[Tensor, Any]]:
    """Placeholders that only training needs, as far as their sizes are known: labels, mostly."""
    for op in graph.operations.values():
        if op.type != "Placeholder" or op.outputs[0] in known:
            continue
        shape = op.outputs[0].shape
        if shape.ndims and None not in shape.sizes[1:] and op.outputs[0].dtype.has_torch:
            yield op.outputs[0], _probe(op.outputs[0], shape.sizes, BATCH)
