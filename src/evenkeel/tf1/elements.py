"""What a name or an object stands for in a graph, with TensorFlow's words where it is nothing."""

from typing import TYPE_CHECKING, Any

from evenkeel.tf1.nodes import Operation, Tensor

if TYPE_CHECKING:
    from evenkeel.tf1.graph import Graph


def element(graph: "Graph", obj: Any, tensors: bool, operations: bool) -> Tensor | Operation:
    """The tensor or operation that ``obj`` is, names or stands for."""
    kinds = " or ".join(
        k for k, allowed in (("Tensor", tensors), ("Operation", operations)) if allowed
    )
    if hasattr(obj, "_as_graph_element"):
        obj = obj._as_graph_element()
    if isinstance(obj, bytes):
        obj = obj.decode()
    if isinstance(obj, str):
        return _named(graph, obj, tensors, operations, kinds)
    wanted = (isinstance(obj, Tensor) and tensors) or (isinstance(obj, Operation) and operations)
    if not wanted:
        raise TypeError(f"Can not convert a {type(obj).__name__} into a {kinds}.")
    if obj.graph is not graph:
        kind = "Tensor" if isinstance(obj, Tensor) else "Operation"
        raise ValueError(f"{kind} {obj!r} is not an element of this graph.")
    return obj  # type: ignore[no-any-return]


def _named(
    graph: "Graph", name: str, tensors: bool, operations: bool, kinds: str
) -> Tensor | Operation:
    if ":" in name and tensors:
        return _tensor(graph, name)
    if ":" in name:
        raise ValueError(f"Name {name!r} appears to refer to a Tensor, not a {kinds}.")
    if name not in graph.operations:
        raise KeyError(f"The name {name!r} refers to an Operation not in the graph.")
    if not operations:
        raise ValueError(
            f"The name {name!r} refers to an Operation, not a {kinds}; the tensors of an "
            f"operation are named like '{name}:0'."
        )
    return graph.operations[name]


def _tensor(graph: "Graph", name: str) -> Tensor:
    op_name, _, index = name.rpartition(":")
    if not index.isdigit():
        raise ValueError(
            f"The name {name!r} looks a like a Tensor name, but is not a valid one. Tensor names "
            'must be of the form "<op_name>:<output_index>".'
        )
    if op_name not in graph.operations:
        raise KeyError(
            f"The name {name!r} refers to a Tensor which does not exist. The operation, "
            f"{op_name!r}, does not exist in the graph."
        )
    outputs = graph.operations[op_name].outputs
    if int(index) >= len(outputs):
        raise KeyError(
            f"The name {name!r} refers to a Tensor which does not exist. The operation, "
            f"{op_name!r}, exists but only has {len(outputs)} outputs."
        )
    return outputs[int(index)]
