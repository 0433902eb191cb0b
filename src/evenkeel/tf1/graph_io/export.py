"""A graph as a GraphDef."""

from typing import Any

from evenkeel.tf1.graph import Graph
from evenkeel.tf1.graph_io.attributes import attr_to_proto, default_of, kind_of
from evenkeel.tf1.graph_io.definitions import known
from evenkeel.tf1.graph_io.tensors import shape_to_proto
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.signature import NO_DEFAULT
from evenkeel.tf1.proto import GraphDef, NodeDef, VersionDef

PRODUCER = 134  # the version that TensorFlow 1.15 writes


def versions() -> Any:
    """The versions that a GraphDef of ours carries: TensorFlow 1.15's."""
    return VersionDef(producer=PRODUCER)


def graph_def_of(graph: Graph, from_version: int | None = None, add_shapes: bool = False) -> Any:
    """The nodes of a graph in creation order, as ``graph.as_graph_def``.

    ``from_version`` leaves out what was there when ``graph.version`` was that number; ``add_shapes``
    puts the static shapes of every node's outputs beside it.

    >>> from evenkeel.tf1.build import constant
    >>> with Graph().as_default() as graph:
    ...     _ = constant(1.0, name="one")
    >>> [node.op for node in graph_def_of(graph).node]
    ['Const']
    """
    made = GraphDef(versions=versions())
    start = -1 if from_version is None else from_version
    ops = (op for op in graph.get_operations() if graph.made_at[op.name] > start)
    made.node.extend(node_def_of(op, add_shapes) for op in ops)
    for text in graph.library.values():
        made.library.function.add().MergeFromString(text)
    return made


def node_def_of(op: Operation, add_shapes: bool = False) -> Any:
    """One operation as a NodeDef."""
    made = NodeDef(name=op.name, op=op.type, device=op.device)
    made.input.extend(t._as_node_def_input() for t in op.inputs)
    # TensorFlow writes them sorted.
    made.input.extend(sorted(f"^{c.name}" for c in op.control_inputs))
    row = known(op.type, {})
    kinds = {} if row is None else {name: attr.kind for name, attr in row.attrs.items()}
    for name, value in op.attrs.items():
        if value is not None:
            made.attr[name].CopyFrom(
                attr_to_proto(value, kinds.get(name) or kind_of(value), op.attrs)
            )
    if add_shapes and op.outputs:
        shapes = made.attr["_output_shapes"].list
        shapes.shape.extend(shape_to_proto(t.shape) for t in op.outputs)
    return made


def strip_defaults(graph_def: Any) -> None:
    """Take out attributes that have their default values."""
    for node in graph_def.node:
        row = known(node.op, {})
        for name, attr in {} if row is None else row.attrs.items():
            if (
                name not in node.attr
                or attr.default is NO_DEFAULT
                or attr.kind in ("tensor", "func")
            ):
                continue
            if node.attr[name] == attr_to_proto(default_of(attr, name), attr.kind, {}):
                del node.attr[name]
