"""``tf.import_graph_def``: the nodes of a GraphDef in the default graph."""

import heapq
from typing import Any

from evenkeel.tf1 import infer
from evenkeel.tf1.build import convert, name_scope
from evenkeel.tf1.dtypes import DType
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.graph_io.definitions import MOST, dtypes_of, signature_of
from evenkeel.tf1.graph_io.export import PRODUCER
from evenkeel.tf1.graph_io.loops import restore_loops
from evenkeel.tf1.graph_io.nodes_in import (
    Row,
    Source,
    check_inputs,
    make,
    output_types,
    row_of,
    source_of,
)
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops.signature import Signature
from evenkeel.tf1.origin import origin
from evenkeel.tf1.proto import GraphDef, OpList
from evenkeel.tf1.stacks import get_default_graph


def import_graph_def(
    graph_def: Any,
    input_map: Any = None,
    return_elements: Any = None,
    name: str | None = None,
    op_dict: Any = None,
    producer_op_list: Any = None,
) -> list[Any] | None:
    """Add the nodes of a GraphDef to the default graph, under ``name`` (``import``).

    ``input_map`` puts tensors of the graph in the place of tensors of the GraphDef.
    ``producer_op_list`` says what the writer's types were: attributes that are unknown here and have
    the writer's defaults are dropped, and types that are unknown here get their inputs and outputs
    from it. A type that nobody knows is imported; fetching it is an error that names it.
    ``op_dict`` is deprecated in TensorFlow, and not read there either.

    Raises: ValueError, which names the node, for a GraphDef that is no graph; TypeError where
    ``graph_def`` is none.

    >>> source = Graph()
    >>> with source.as_default():
    ...     _ = convert([1.0, 2.0], name="x")
    >>> with Graph().as_default():
    ...     import_graph_def(source.as_graph_def(), return_elements=["x:0"])
    [<tf.Tensor 'import/x:0' shape=(2,) dtype=float32>]
    """
    _check(graph_def, input_map, return_elements)
    given = {_text(key): value for key, value in (input_map or {}).items()}
    with name_scope(name, "import", list(given.values())) as scope:
        graph = get_default_graph()
        mapped = {key: _mapped(key, value) for key, value in given.items()}
        importer = Importer(graph, graph_def, scope.rstrip("/"), mapped, producer_op_list)
        importer.run()
        return None if return_elements is None else importer.elements(return_elements)


def _check(graph_def: Any, input_map: Any, return_elements: Any) -> None:
    if getattr(getattr(graph_def, "DESCRIPTOR", None), "full_name", "") != "tensorflow.GraphDef":
        raise TypeError("graph_def must be a GraphDef proto.")
    if input_map is not None and not isinstance(input_map, dict):
        raise TypeError("input_map must be a dictionary mapping strings to Tensor objects.")
    listed = isinstance(return_elements, list | tuple)
    if return_elements is not None and not (
        listed and all(isinstance(e, str | bytes) for e in return_elements)
    ):
        raise TypeError("return_elements must be a list of strings.")
    versions = graph_def.versions
    if versions.min_consumer > PRODUCER or PRODUCER in versions.bad_consumers:
        raise ValueError(
            f"GraphDef min consumer version {versions.min_consumer} above current version "
            f"{PRODUCER} for TensorFlow 1.15.5.  Please upgrade TensorFlow."
        )


def _text(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)


def _mapped(key: str, value: Any) -> Any:
    if key.startswith("^"):
        return value if isinstance(value, Operation) else value.op
    return convert(value)


class Importer:
    """One GraphDef on its way into a graph."""

    def __init__(
        self, graph: Graph, graph_def: Any, prefix: str, mapped: dict[str, Any], producer: Any
    ) -> None:
        self.graph, self.prefix = graph, prefix
        self.mapped = {_canonical(k): v for k, v in mapped.items()}
        self._asked = {_canonical(k): k for k in mapped}
        self.used: set[str] = set()
        self.made: dict[str, Operation] = {}
        self.origin = origin()
        own = GraphDef.FromString(graph_def.SerializeToString()) if not isinstance(
            graph_def, GraphDef) else graph_def  # fmt: skip
        self.library = own.library
        others = {f.signature.name: signature_of(f.signature) for f in own.library.function}
        writers = _writers(producer)
        self.rows = self._read(own, writers | others, writers)
        self.uses = self._uses()

    def _read(
        self, graph_def: Any, others: dict[str, Signature], writers: dict[str, Signature]
    ) -> dict[str, Row]:
        rows: dict[str, Row] = {}
        for node in graph_def.node:
            if node.name in rows:
                raise ValueError(f"Node '{node.name}' is not unique")
            rows[node.name] = row_of(node, others, writers)
        for row in rows.values():
            for name in [*(s.name for s in row.sources), *row.waits]:
                if name not in rows and not self._covers(name):
                    raise ValueError(f"Node {row.name!r}: Unknown input node {name!r}")
        return rows

    def _covers(self, name: str) -> bool:
        """Whether the input map stands for a node that the GraphDef does not have."""
        return any(
            key.lstrip("^").rpartition(":")[0] == name or key == f"^{name}" for key in self.mapped
        )

    def _uses(self) -> dict[str, dict[int, DType | None]]:
        """What the readers of nodes of unknown types take them for, by node and output."""
        found: dict[str, dict[int, DType | None]] = {}
        unknown = {name for name, row in self.rows.items() if row.signature is None}
        for row in self.rows.values() if unknown else ():
            types: list[Any] = [None] * len(row.sources)
            if row.signature is not None:
                types = dtypes_of(row.signature.inputs, row.attrs)
            for source, dtype in zip(row.sources, types, strict=False):
                if source.name in unknown and source.index < MOST:
                    slots = found.setdefault(source.name, {})
                    if dtype is not None or source.index not in slots:
                        slots[source.index] = dtype
        return found

    # ---- the nodes, each after what it takes

    def run(self) -> None:
        """All nodes, or none after an error."""
        try:
            for row in self._ordered():
                self._make(row)
            self._close()
            self._check_map()
        except BaseException:
            self._undo()
            raise
        for op in self.made.values():
            waits = self.graph._controls_for({t.op for t in op.inputs})
            op._add_control_inputs(waits)
            self.graph._enter_scopes(op)
        restore_loops(list(self.made.values()))
        for function in self.library.function:
            self.graph.library[function.signature.name] = function.SerializeToString()

    def _undo(self) -> None:
        for op in self.made.values():
            del self.graph.operations[op.name]
            for tensor in op.inputs:
                if op in tensor.op._consumed:
                    tensor.op._consumed.remove(op)
        self.graph.changed()

    def _check_map(self) -> None:
        unused = [self._asked[key] for key in self.mapped if key not in self.used]
        if unused:
            listed = ", ".join(unused)
            raise ValueError(
                f"Attempted to map inputs that were not found in graph_def: [{listed}]"
            )

    def _goes_back(self, row: Row, source: Source) -> bool:
        other = self.rows.get(source.name)
        back = ("NextIteration", "RefNextIteration")
        return row.node.op in ("Merge", "RefMerge") and other is not None and other.node.op in back

    def _before(self, row: Row) -> set[str]:
        """The nodes that must be there first."""
        inside = (s for s in row.sources if self._from(s) is None)
        names = {s.name for s in inside if not self._goes_back(row, s)}
        return (names | {n for n in row.waits if f"^{n}" not in self.mapped}) & self.rows.keys()

    def _ordered(self) -> list[Row]:
        """As the GraphDef lists them where data allow it, as TensorFlow does."""
        number = {name: i for i, name in enumerate(self.rows)}
        waits, after = {}, {name: [] for name in self.rows}  # type: dict[str, int], dict[str, list[str]]
        for name, row in self.rows.items():
            before = self._before(row)
            waits[name] = len(before)
            for other in before:
                after[other].append(name)
        ready = [i for name, i in number.items() if not waits[name]]
        names, found = list(self.rows), []
        while ready:
            name = names[heapq.heappop(ready)]
            found.append(self.rows[name])
            for other in after[name]:
                waits[other] -= 1
                if not waits[other]:
                    heapq.heappush(ready, number[other])
        if len(found) < len(self.rows):
            stuck = [name for name, count in waits.items() if count][:5]
            raise ValueError(
                f"{len(self.rows) - len(found)} nodes in a cycle, among them {', '.join(stuck)}"
            )
        return found

    def _from(self, source: Source) -> Any:
        """What the input map puts in the place of an input; None where nothing."""
        if source.text in self.mapped:
            self.used.add(source.text)
            return self.mapped[source.text]
        return None

    def _tensor(self, row: Row, source: Source) -> Tensor:
        if (given := self._from(source)) is not None:
            return given  # type: ignore[no-any-return]
        op = self.made.get(source.name)
        if op is None or source.index >= len(op.outputs):
            there = 0 if op is None else len(op.outputs)
            raise ValueError(
                f"Node {row.name!r}: Connecting to invalid output {source.index} of source node "
                f"{source.name} which has {there} outputs"
            )
        return op.outputs[source.index]

    def _make(self, row: Row) -> None:
        sources = row.sources
        forward = [s for s in sources if not self._goes_back(row, s)]
        if sources and not forward:
            raise ValueError(f"Node {row.name!r} is a loop that nothing enters")
        first = {id(s): self._tensor(row, s) for s in forward}
        # An edge that goes back is closed when its source is there.
        inputs = [first[id(s if id(s) in first else forward[0])] for s in sources]
        check_inputs(row, inputs)
        types = output_types(row, self.uses.get(row.name, {}))
        full = f"{self.prefix}/{row.name}" if self.prefix else row.name
        if full in self.graph.operations:
            full = self.graph._names.unique(full)
        self.graph._names.take(full)
        self._prefix_groups(row)
        op = make(self.graph, row, full, inputs, types)
        op.origin = self.origin
        op.control_inputs = list(dict.fromkeys(self._waits(row)))
        self.made[row.name] = op
        self._shape(op, row, whole=len(forward) == len(sources))

    def _waits(self, row: Row) -> list[Operation]:
        found = []
        for name in row.waits:
            given = self._from(Source(name, -1))
            found.append(self.made[name] if given is None else given)
        return found

    def _prefix_groups(self, row: Row) -> None:
        """Colocation names other nodes of the GraphDef: they have moved under the prefix."""
        groups = row.attrs.get("_class")
        if isinstance(groups, list) and self.prefix:
            row.attrs["_class"] = [
                f"loc:@{self.prefix}/{g[5:]}" if str(g).startswith("loc:@") else g for g in groups
            ]

    def _shape(self, op: Operation, row: Row, whole: bool) -> None:
        try:
            if whole:
                for tensor, shape in zip(op.outputs, infer.shapes_of(op), strict=False):
                    tensor._shape = shape
            for tensor, shape in zip(op.outputs, row.shapes, strict=False):
                if tensor._shape.ndims is None or shape.ndims is not None:
                    tensor.set_shape(shape)
        except ValueError as error:
            raise ValueError(f"node {row.name!r} (op: {op.type!r}): {error}") from None

    def _close(self) -> None:
        """The edges of loops that go back."""
        for row in self.rows.values():
            for index, source in enumerate(row.sources):
                if self._goes_back(row, source):
                    tensor = self._tensor(row, source)
                    op = self.made[row.name]
                    op._update_input(index, tensor)
                    check_inputs(row, op.inputs)

    # ---- what the caller asked for

    def elements(self, names: Any) -> list[Any]:
        """The operations and tensors of ``return_elements``."""
        return [self._element(_text(name)) for name in names]

    def _element(self, name: str) -> Any:
        source = source_of(name)
        op = self.made.get(source.name)
        if ":" not in name and op is not None:
            return op
        if ":" in name and (given := self._from(source)) is not None:
            return given
        if op is None or source.index >= len(op.outputs):
            raise ValueError(f"Requested return_element '{name}' not found in graph_def.")
        return op.outputs[source.index]


def _canonical(key: str) -> str:
    return key if key.startswith("^") else source_of(key).text


def _writers(producer: Any) -> dict[str, Signature]:
    if producer is None:
        return {}
    listed = (
        producer
        if isinstance(producer, OpList)
        else OpList.FromString(producer.SerializeToString())
    )
    return {op.name: signature_of(op) for op in listed.op}
