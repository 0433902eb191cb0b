"""``tf.Variable``: a reference, its initial value, its assignment, its read; named as in TensorFlow."""

from typing import Any

from evenkeel.tf1 import build, naming
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.dtypes import DType, as_dtype
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import IndexedSlices, Operation, Tensor
from evenkeel.tf1.shapes import TensorShape, as_shape
from evenkeel.tf1.stacks import get_default_graph


class Variable:
    """A value that lasts from run to run of a session.

    >>> from evenkeel.tf1.graph import Graph
    >>> with Graph().as_default():
    ...     print(Variable([1.0, 2.0], name="w"))
    <tf.Variable 'w:0' shape=(2,) dtype=float32_ref>
    """

    __array_priority__ = 100
    # The operators are put here by api/overloads.py: they are those of the value.
    __add__: Any
    __radd__: Any
    __sub__: Any
    __rsub__: Any
    __mul__: Any
    __rmul__: Any
    __truediv__: Any
    __rtruediv__: Any
    __neg__: Any
    __getitem__: Any

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        collections: Any = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        expected_shape: Any = None,
        import_scope: str | None = None,
        constraint: Any = None,
        use_resource: bool | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
    ) -> None:
        if variable_def is not None:
            if initial_value is not None:
                raise ValueError("variable_def and initial_value are mutually exclusive.")
            from evenkeel.tf1.graph_io.variable_defs import fill_variable

            fill_variable(self, variable_def, import_scope)
            return
        if initial_value is None:
            raise ValueError("initial_value must be specified.")
        if constraint is not None and not callable(constraint):
            raise ValueError("The `constraint` argument must be a callable.")
        self._graph, self._constraint = get_default_graph(), constraint
        self._snapshot: Tensor
        self._initial_value: Tensor
        self._trainable = True if trainable is None else trainable
        self._save_slice_info: Any = None
        self._validate = validate_shape
        keys = [GraphKeys.GLOBAL_VARIABLES] if collections is None else list(collections)
        if self._trainable and GraphKeys.TRAINABLE_VARIABLES not in keys:
            keys = [*keys, GraphKeys.TRAINABLE_VARIABLES]
        with init_scope():
            kind = None if dtype is None else as_dtype(dtype)
            self._make(initial_value, kind, name, shape, caching_device)
        self._graph.add_to_collections(keys, self)

    def _make(
        self, initial_value: Any, dtype: DType | None, name: str | None, shape: Any, cache: Any
    ) -> None:
        graph, is_function = self._graph, callable(initial_value)
        values = [] if is_function else [initial_value]
        with name_scope(name, "Variable", values) as scope:
            if is_function:
                own = {"_class": [f"loc:@{naming.from_scope(scope)}"]}
                with graph._attr_scope(own):
                    with graph.name_scope("Initializer"), graph.device(None):
                        value = convert(initial_value(), dtype, "initial_value")
                    self._ref_tensor = self._node(value, shape, scope)
            else:
                value = convert(initial_value, dtype, "initial_value")
                if value.op._get_control_flow_context() is not None:
                    raise ValueError(
                        "Initializer for variable "
                        f"{naming.from_scope(scope)}/ is from inside a control-flow construct, such "
                        "as a loop or conditional. When creating a variable inside a loop or "
                        "conditional, use a lambda as the initializer."
                    )
                self._ref_tensor = self._node(value, shape, scope)
            self._initial_value = value
            self._initializer_op = build.build(
                "Assign", self._ref_tensor, value, validate_shape=self._validate
            )
            if cache is not None:
                with graph.device(cache):
                    self._snapshot = apply("Identity", self._ref_tensor, name="read")
            else:
                with graph.colocate_with(self._ref_tensor.op):
                    self._snapshot = apply("Identity", self._ref_tensor, name="read")

    def _node(self, value: Tensor, shape: Any, scope: str) -> Tensor:
        known = value.shape if shape is None else as_shape(shape)
        if not self._validate:
            known = TensorShape(None) if shape is None else known
        elif not known.is_fully_defined():
            raise ValueError(f"initial_value must have a shape specified: {value}")
        kind = value.dtype.base_dtype
        return apply("VariableV2", shape=known, dtype=kind, name=scope)  # type: ignore[no-any-return]

    # ---- what it is

    @property
    def name(self) -> str:
        """``name:0``."""
        return self._ref_tensor.name

    @property
    def op(self) -> Operation:
        """The node that holds the value."""
        return self._ref_tensor.op

    @property
    def dtype(self) -> DType:
        """The type of the reference."""
        return self._ref_tensor.dtype

    @property
    def shape(self) -> TensorShape:
        """The static shape."""
        return self._ref_tensor.shape

    def get_shape(self) -> TensorShape:
        """The static shape."""
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Add what is known about the shape."""
        self._ref_tensor.set_shape(shape)
        self._snapshot.set_shape(shape)

    @property
    def graph(self) -> Any:
        """The graph that it is part of."""
        return self._ref_tensor.graph

    @property
    def device(self) -> str:
        """The device asked for."""
        return self._ref_tensor.device

    @property
    def trainable(self) -> bool:
        """Whether optimizers train it unless told otherwise."""
        return self._trainable

    @property
    def constraint(self) -> Any:
        """The function that optimizers apply after an update."""
        return self._constraint

    @property
    def initializer(self) -> Operation:
        """The assignment of the initial value."""
        return self._initializer_op

    @property
    def initial_value(self) -> Tensor:
        """The tensor that it starts from; not its value."""
        return self._initial_value

    def _ref(self) -> Tensor:
        return self._ref_tensor

    @property
    def _variable(self) -> Tensor:
        return self._ref_tensor

    def _as_graph_element(self) -> Tensor:
        return self._snapshot

    def _AsTensor(self) -> Tensor:  # noqa: N802  # TensorFlow's name, which programs call
        return self._snapshot

    def _dense_var_to_tensor(
        self, dtype: DType | None = None, name: str | None = None, as_ref: bool = False
    ) -> Tensor:
        if dtype is not None and not dtype.is_compatible_with(self.dtype):
            raise ValueError(
                f"Incompatible type conversion requested to type '{dtype.name}' for variable of "
                f"type '{self.dtype.name}'"
            )
        return self._ref_tensor if as_ref else self._snapshot

    def _set_save_slice_info(self, info: Any) -> None:
        self._save_slice_info = info

    def to_proto(self, export_scope: str | None = None) -> Any:
        """The variable as a VariableDef; None for one outside of ``export_scope``."""
        from evenkeel.tf1.graph_io.variable_defs import variable_to_proto

        return variable_to_proto(self, export_scope)

    @classmethod
    def from_proto(cls, variable_def: Any, import_scope: str | None = None) -> "Variable":
        """The variable whose nodes a VariableDef names."""
        return cls(variable_def=variable_def, import_scope=import_scope)

    # ---- what it gives and takes

    def value(self) -> Tensor:
        """The tensor of its value."""
        return self._snapshot

    def read_value(self) -> Tensor:
        """A new read of its value."""
        return apply("Identity", self._ref_tensor, name="read")  # type: ignore[no-any-return]

    def eval(self, session: Any = None) -> Any:
        """Its value in a session."""
        return self._snapshot.eval(session=session)

    def load(self, value: Any, session: Any = None) -> None:
        """Give it a value in a session, without a node of its own."""
        chosen = session or _default()
        chosen.run(self._initializer_op, {self._initializer_op.inputs[1]: value})

    def initialized_value(self) -> Any:
        """Its value, or its initial value where it was never initialized."""
        from evenkeel.tf1.api.control import cond

        with init_scope():
            ready = apply("IsVariableInitialized", self._ref_tensor)
            return cond(ready, self.read_value, lambda: self.initial_value)

    def assign(
        self,
        value: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """A node that gives it a value."""
        return self._changed("Assign", value, name, read_value, use_locking)

    def assign_add(
        self,
        delta: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """A node that adds to its value."""
        return self._changed("AssignAdd", delta, name, read_value, use_locking)

    def assign_sub(
        self,
        delta: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """A node that subtracts from its value."""
        return self._changed("AssignSub", delta, name, read_value, use_locking)

    def _changed(self, kind: str, value: Any, name: str | None, read: bool, lock: bool) -> Any:
        made = apply(kind, self._ref_tensor, value, use_locking=lock, name=name)
        return made if read else made.op

    def scatter_sub(
        self, slices: IndexedSlices, use_locking: bool = False, name: Any = None
    ) -> Any:
        """A node that subtracts from some rows."""
        inputs = [self._ref_tensor, slices.indices, slices.values]
        return apply("ScatterSub", *inputs, use_locking=use_locking, name=name)

    def scatter_add(
        self, slices: IndexedSlices, use_locking: bool = False, name: Any = None
    ) -> Any:
        """A node that adds to some rows."""
        inputs = [self._ref_tensor, slices.indices, slices.values]
        return apply("ScatterAdd", *inputs, use_locking=use_locking, name=name)

    def count_up_to(self, limit: int) -> Any:
        """A node that adds one, up to a limit."""
        return apply("CountUpTo", self._ref_tensor, limit=limit)

    def __iter__(self) -> Any:
        raise TypeError("'Variable' object is not iterable.")

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}>"


RefVariable = Variable


def _default() -> Any:
    from evenkeel.tf1.stacks import default_session

    session = default_session()
    if session is None:
        raise ValueError(
            "Either session argument should be provided or default session should be established"
        )
    return session


def init_scope() -> Any:
    """Out of control dependencies and control flow; names go on as they were."""
    return get_default_graph().control_dependencies(None)
