"""The nodes of a graph: operations, and the tensors that are their outputs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evenkeel.tf1.dtypes import DType
from evenkeel.tf1.shapes import TensorShape, as_shape, conflict

if TYPE_CHECKING:
    from evenkeel.tf1.graph import Graph


class Operation:
    """One node: a type, inputs, attributes; ``origin`` is the line of the program that made it."""

    __slots__ = (
        "__weakref__",
        "_consumed",
        "_control_flow_context",
        "_id",
        "attrs",
        "control_inputs",
        "device",
        "folded",
        "graph",
        "inputs",
        "name",
        "origin",
        "outputs",
        "type",
    )

    def __init__(
        self,
        graph: "Graph",
        kind: str,
        name: str,
        inputs: list["Tensor"],
        attrs: dict[str, Any],
        origin: str,
    ) -> None:
        self.graph, self.type, self.name, self.inputs = graph, kind, name, inputs
        self.attrs, self.origin, self.device = attrs, origin, ""
        self.control_inputs: list[Operation] = []
        self.outputs: list[Tensor] = []
        self.folded: Any = None  # what constant folding found, cached by fold.py
        self._consumed: list[Operation] = []
        self._control_flow_context: Any = None  # a context of control flow, or None
        self._id = graph.add_operation(self)

    def get_attr(self, name: str) -> Any:
        """An attribute as TensorFlow gives it: text as bytes; ValueError where there is none."""
        if name not in self.attrs:
            raise ValueError(f"Operation '{self.name}' has no attr named '{name}'.")
        value = self.attrs[name]
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, list):
            return [v.encode() if isinstance(v, str) else v for v in value]
        return value

    def _set_attr(self, name: str, value: Any) -> None:
        self.attrs[name] = value

    def values(self) -> tuple["Tensor", ...]:
        """The outputs as a tuple."""
        return tuple(self.outputs)

    @property
    def node_def(self) -> Any:
        """The operation as a NodeDef message."""
        from evenkeel.tf1.graph_io import node_def_of

        return node_def_of(self)

    def colocation_groups(self) -> list[bytes]:
        """The groups whose members run on one device."""
        groups = self.attrs.get("_class") or []
        return [g.encode() for g in groups] or [f"loc:@{self.name}".encode()]

    def run(self, feed_dict: Any = None, session: Any = None) -> None:
        """Run in ``session``, or in the default session."""
        _session_for(self.graph, session).run(self, feed_dict)

    def _get_control_flow_context(self) -> Any:
        return self._control_flow_context

    def _set_control_flow_context(self, context: Any) -> None:
        self._control_flow_context = context

    def _add_control_inputs(self, operations: list["Operation"]) -> None:
        known = set(self.control_inputs)
        self.control_inputs += [op for op in dict.fromkeys(operations) if op not in known]
        self.graph.changed()

    def _add_control_input(self, operation: "Operation") -> None:
        self._add_control_inputs([operation])

    def _remove_all_control_inputs(self) -> None:
        self.control_inputs = []
        self.graph.changed()

    def _update_input(self, index: int, tensor: "Tensor") -> None:
        if self in (consumers := self.inputs[index].op._consumed):
            consumers.remove(self)
        self.inputs[index] = tensor
        tensor.op._consumed.append(self)
        self.graph.changed()

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.type}>"

    def __str__(self) -> str:
        return str(self.node_def)


class OperatorNotAllowedInGraphError(TypeError):
    """A tensor of a graph was used as a Python value."""


_NOT_ALLOWED = (
    "{} is not allowed in Graph execution. Use Eager execution or decorate this function with "
    "@tf.function."
)


class Tensor:
    """One output of an operation, with its element type and static shape."""

    # __dict__: programs hang attributes of their own on tensors; without any it costs 8 bytes.
    __slots__ = ("__dict__", "__weakref__", "_keras_mask", "_shape", "dtype", "index", "op")
    __array_priority__ = 100  # numpy's operators step aside for ours

    # The operators are put here by api/overloads.py, from the functions of the API.
    __add__: Any
    __radd__: Any
    __sub__: Any
    __rsub__: Any
    __mul__: Any
    __rmul__: Any
    __truediv__: Any
    __rtruediv__: Any
    __floordiv__: Any
    __mod__: Any
    __pow__: Any
    __neg__: Any
    __getitem__: Any
    __lt__: Any
    __le__: Any
    __gt__: Any
    __ge__: Any
    __and__: Any
    __or__: Any
    __invert__: Any
    __matmul__: Any
    __abs__: Any

    def __init__(self, op: Operation, index: int, dtype: DType, shape: TensorShape) -> None:
        self.op, self.index, self.dtype, self._shape = op, index, dtype, shape

    @property
    def name(self) -> str:
        """``operation:index``."""
        return f"{self.op.name}:{self.index}"

    @property
    def value_index(self) -> int:
        """Which output of its operation this is."""
        return self.index

    @property
    def graph(self) -> "Graph":
        """The graph that it is part of."""
        return self.op.graph

    @property
    def device(self) -> str:
        """The device asked for."""
        return self.op.device

    @property
    def shape(self) -> TensorShape:
        """The static shape."""
        return self._shape

    def get_shape(self) -> TensorShape:
        """The static shape."""
        return self._shape

    def set_shape(self, shape: Any) -> None:
        """Add what is known about the shape; ValueError where it contradicts."""
        wanted = as_shape(shape)
        if (problem := conflict(self._shape, wanted)) is not None:
            raise ValueError(problem)
        merged = self._shape.merge_with(wanted)
        if merged._sizes != self._shape._sizes:
            self._shape = merged
            self.graph.changed()

    def consumers(self) -> list[Operation]:
        """The operations that take this tensor."""
        return [op for op in dict.fromkeys(self.op._consumed) if any(t is self for t in op.inputs)]

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        """The value, in ``session`` or in the default session."""
        return _session_for(self.graph, session).run(self, feed_dict)

    def _as_node_def_input(self) -> str:
        return self.op.name if self.index == 0 else self.name

    def __iter__(self) -> Iterator["Tensor"]:
        raise OperatorNotAllowedInGraphError(_NOT_ALLOWED.format("iterating over `tf.Tensor`"))

    def __len__(self) -> int:
        raise TypeError("object of type 'Tensor' has no len(); use tf.shape or get_shape()")

    def __bool__(self) -> bool:
        raise OperatorNotAllowedInGraphError(
            _NOT_ALLOWED.format("using a `tf.Tensor` as a Python `bool`")
        )

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(
            f"Cannot convert a symbolic Tensor ({self.name}) to a numpy array."
        )

    def __repr__(self) -> str:
        return f"<tf.Tensor '{self.name}' shape={self._shape} dtype={self.dtype.name}>"

    def __str__(self) -> str:
        shape = "" if self._shape.ndims is None else f", shape={self._shape}"
        return f'Tensor("{self.name}"{shape}, dtype={self.dtype.name})'


@dataclass(frozen=True, eq=False)
class IndexedSlices:
    """Some rows of a tensor: the gradient of a gather."""

    values: Tensor
    indices: Tensor
    dense_shape: Tensor | None = None

    @property
    def op(self) -> Operation:
        """The operation of the values."""
        return self.values.op

    @property
    def name(self) -> str:
        """The name of the values."""
        return self.values.name

    @property
    def dtype(self) -> DType:
        """The type of the values."""
        return self.values.dtype

    @property
    def graph(self) -> "Graph":
        """The graph of the values."""
        return self.values.graph

    @property
    def device(self) -> str:
        """The device of the values."""
        return self.values.device


def _session_for(graph: "Graph", session: Any) -> Any:
    """``session``, or the default one; ValueError with TensorFlow's words where none fits."""
    from evenkeel.tf1.stacks import default_session

    chosen = default_session() if session is None else session
    if chosen is None:
        raise ValueError(
            "Cannot evaluate tensor using `eval()`: No default session is registered. Use "
            "`with sess.as_default()` or pass an explicit session to `eval(session=sess)`"
        )
    if chosen.graph is not graph:
        which = "Use" if session is None else "The `session` argument"
        raise ValueError(
            "Cannot use the default session to evaluate tensor: the tensor's graph is different "
            f"from the session's graph. {which} another session."
        )
    return chosen
