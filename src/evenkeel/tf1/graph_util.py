"""``tf.graph_util``: GraphDefs cut, frozen and cleaned."""

from collections.abc import Iterable
from typing import Any

from evenkeel.tf1 import logging
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.graph_io.attributes import attr_to_proto
from evenkeel.tf1.graph_io.importing import import_graph_def
from evenkeel.tf1.graph_io.nodes_in import source_of
from evenkeel.tf1.proto import GraphDef, NodeDef

__all__ = [
    "convert_variables_to_constants", "extract_sub_graph", "import_graph_def", "must_run_on_cpu",
    "remove_training_nodes", "tensor_shape_from_node_def_name",
]  # fmt: skip
_VARIABLES = ("Variable", "VariableV2", "VarHandleOp")
_READS = ("ReadVariableOp", "ResourceGather")


def __getattr__(name: str) -> Any:
    raise missing(f"tf.graph_util.{name}", __all__)


def _name(text: str) -> str:
    """The node behind an input of a NodeDef."""
    return source_of(text).name


def _checked(graph_def: Any) -> dict[str, Any]:
    if getattr(getattr(graph_def, "DESCRIPTOR", None), "full_name", "") != "tensorflow.GraphDef":
        raise TypeError("graph_def must be a graph_pb2.GraphDef proto.")
    return {node.name: node for node in graph_def.node}


def extract_sub_graph(graph_def: Any, dest_nodes: Any) -> Any:
    """The nodes that ``dest_nodes`` need, in their order.

    >>> whole = GraphDef(node=[NodeDef(name="a"), NodeDef(name="b"), NodeDef(name="c", input=["a"])])
    >>> [node.name for node in extract_sub_graph(whole, ["c"]).node]
    ['a', 'c']
    """
    nodes = _checked(graph_def)
    if isinstance(dest_nodes, str):
        raise TypeError("dest_nodes must be a list.")
    for name in dest_nodes:
        if name not in nodes:
            raise AssertionError(f"{name} is not in graph")
    needed = _needed(nodes, dest_nodes)
    made = GraphDef(versions=graph_def.versions, library=graph_def.library)
    made.node.extend(node for node in graph_def.node if node.name in needed)
    return made


def _needed(nodes: dict[str, Any], wanted: Iterable[str]) -> set[str]:
    found: set[str] = set()
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name in found or name not in nodes:
            continue
        found.add(name)
        todo += [_name(text) for text in nodes[name].input]
    return found


def convert_variables_to_constants(
    sess: Any,
    input_graph_def: Any,
    output_node_names: Any,
    variable_names_whitelist: Any = None,
    variable_names_blacklist: Any = None,
) -> Any:
    """The part of a GraphDef that the outputs need, with the session's variables as constants."""
    inference = extract_sub_graph(input_graph_def, output_node_names)
    nodes = {node.name: node for node in inference.node}
    frozen = [
        node.name
        for node in inference.node
        if node.op in _VARIABLES
        and (variable_names_whitelist is None or node.name in variable_names_whitelist)
        and (variable_names_blacklist is None or node.name not in variable_names_blacklist)
    ]
    values = dict(zip(frozen, _values(sess, nodes, frozen), strict=True))
    made = GraphDef(versions=inference.versions, library=inference.library)
    handles = {name for name in frozen if nodes[name].op == "VarHandleOp"}
    for node in inference.node:
        made.node.append(_frozen(node, values, nodes, handles))
    logging.info("Converted %d variables to const ops.", len(frozen))
    return made


def _values(sess: Any, nodes: dict[str, Any], names: list[str]) -> Any:
    """The values of variables, in one run; of a resource variable through a node that reads it."""
    fetches = []
    for name in names:
        if nodes[name].op == "VarHandleOp":
            fetches.append(f"{_reader(sess.graph, name)}:0")
        else:
            fetches.append(f"{name}:0")
    return sess.run(fetches) if fetches else []


def _reader(graph: Any, name: str) -> str:
    for op in graph.get_operation_by_name(name).outputs[0].consumers():
        if op.type == "ReadVariableOp" and graph.is_fetchable(op):
            return str(op.name)
    raise ValueError(f"nothing reads the variable {name!r}: it cannot become a constant")


def _frozen(node: Any, values: dict[str, Any], nodes: dict[str, Any], handles: set[str]) -> Any:
    if node.name in values:
        made = NodeDef(name=node.name, op="Const")
        made.attr["dtype"].CopyFrom(node.attr["dtype"])
        from evenkeel.tf1.dtypes import as_dtype

        attrs = {"dtype": as_dtype(node.attr["dtype"].type)}
        made.attr["value"].CopyFrom(attr_to_proto(_array(values[node.name]), "tensor", attrs))
        return made
    if node.op in _READS and _name(node.input[0]) in handles:
        return _read(node)
    return node


def _array(value: Any) -> Any:
    import numpy as np

    return np.asarray(value)


def _read(node: Any) -> Any:
    """What reads a resource variable, as what takes a constant."""
    made = NodeDef(name=node.name, device=node.device)
    made.attr["T"].CopyFrom(node.attr["dtype"])
    if node.op == "ReadVariableOp":
        made.op = "Identity"
        made.input.extend(node.input)
        return made
    raise ValueError(f"node {node.name!r} (op: 'ResourceGather') cannot be frozen")


def remove_training_nodes(input_graph: Any, protected_nodes: Any = None) -> Any:
    """The GraphDef without CheckNumerics and Identity nodes that nothing but inference sees.

    A node stays that is protected, that has control inputs, that others wait for, or that reads a
    Switch, whose sides it may keep apart.
    """
    nodes = _checked(input_graph)
    kept = set(protected_nodes or ())
    kept |= {text[1:] for node in input_graph.node for text in node.input if text.startswith("^")}
    spliced: dict[str, str] = {}
    for node in input_graph.node:
        if (
            node.op in ("Identity", "CheckNumerics")
            and node.name not in kept
            and _plain(node, nodes)
        ):
            spliced[node.name] = node.input[0]
    made = GraphDef(versions=input_graph.versions, library=input_graph.library)
    for node in input_graph.node:
        if node.name not in spliced:
            fresh = made.node.add()
            fresh.CopyFrom(node)
            fresh.input[:] = [_through(text, spliced) for text in node.input]
    return made


def _plain(node: Any, nodes: dict[str, Any]) -> bool:
    if any(text.startswith("^") for text in node.input) or not node.input:
        return False
    source = nodes.get(_name(node.input[0]))
    return source is None or source.op not in ("Switch", "RefSwitch")


def _through(text: str, spliced: dict[str, str]) -> str:
    while not text.startswith("^") and _name(text) in spliced:
        text = spliced[_name(text)]
    return text


def must_run_on_cpu(node: Any, pin_variables_on_cpu: bool = False) -> bool:
    """Whether a node has a kernel on the CPU alone: text, and variables where asked."""
    node_def = node if isinstance(node, NodeDef) else node.node_def
    if pin_variables_on_cpu and node_def.op in ("Variable", "VariableV2"):
        return True
    text = 7  # DT_STRING
    if node_def.op == "Const":
        return bool(node_def.attr["dtype"].type == text)
    if node_def.op in ("DynamicStitch", "ParallelDynamicStitch", "DynamicPartition"):
        return bool(node_def.attr["T"].type == 3)  # DT_INT32
    if node_def.op == "Cast":
        return text in (node_def.attr["SrcT"].type, node_def.attr["DstT"].type)
    return False


def tensor_shape_from_node_def_name(graph: Any, input_name: str) -> Any:
    """The static shape of an input, as a NodeDef names it."""
    name = input_name if ":" in input_name else f"{input_name}:0"
    return graph.get_tensor_by_name(name).get_shape()
