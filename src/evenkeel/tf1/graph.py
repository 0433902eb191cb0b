"""``tf.Graph``: operations in creation order, names, scopes, collections, seeds."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from evenkeel.tf1 import dtypes, naming
from evenkeel.tf1.dependencies import Dependencies, as_operations
from evenkeel.tf1.nodes import IndexedSlices, Operation, Tensor
from evenkeel.tf1.origin import origin
from evenkeel.tf1.shapes import TensorShape
from evenkeel.tf1.stacks import graph_as_default


class Graph:
    """A graph of operations; names, order and numbering are TensorFlow's.

    >>> graph = Graph()
    >>> with graph.name_scope("a") as scope:
    ...     scope, graph.unique_name("b")
    ('a/', 'a/b')
    """

    def __init__(self) -> None:
        self.operations: dict[str, Operation] = {}
        self.seed: int | None = None
        self.version = 0  # grows with every change: what sessions key their caches by
        self.made_at: dict[str, int] = {}  # the version that each operation made
        self.library: dict[str, bytes] = {}  # functions of imported graphs, as they were read
        self.gradient_records: list[Any] = []  # of gradient_record.GradientRecord
        self.functions: dict[str, Callable[..., Any]] = {}  # Python functions of PyFunc, by token
        self.building_function = False
        self._collections: dict[Any, list[Any]] = {}
        self._names = naming.Names()
        self._name_stack: str | None = ""
        self._finalized = False
        self._dependencies: list[Dependencies] = []
        self._control_flow_context: Any = None
        self._devices: list[Any] = []
        self._colocation: list[Operation] = []
        self._attr_scopes: list[dict[str, Any]] = []
        self._gradient_overrides: dict[str, str] = {}
        self._unfetchable: set[Operation] = set()
        self._unfeedable: set[Operation] = set()

    # ---- what sessions and scopes ask

    def as_default(self) -> AbstractContextManager["Graph"]:
        """This graph is the default inside."""
        return graph_as_default(self)

    @property
    def _last_id(self) -> int:
        return len(self.operations)

    @property
    def finalized(self) -> bool:
        """Whether nothing may be added any more."""
        return self._finalized

    def finalize(self) -> None:
        """Refuse any change from now on."""
        self._finalized = True

    def _unsafe_unfinalize(self) -> None:
        self._finalized = False

    def changed(self) -> None:
        """Note that something changed, so that what was lowered is lowered again."""
        self.version += 1

    def is_fetchable(self, thing: Tensor | Operation) -> bool:
        """Whether a session may fetch it; the inside of control flow may not be."""
        return _operation_of(thing) not in self._unfetchable

    def is_feedable(self, thing: Tensor | Operation) -> bool:
        """Whether a session may feed it."""
        return _operation_of(thing) not in self._unfeedable

    def prevent_fetching(self, op: Operation) -> None:
        """Mark ``op`` as not to be fetched."""
        self._unfetchable.add(op)

    def prevent_feeding(self, tensor: Any) -> None:
        """Mark a tensor as not to be fed."""
        self._unfeedable.add(_operation_of(tensor))

    # ---- creation

    def add_operation(self, op: Operation) -> int:
        """Enter a node under its name; its number."""
        if self._finalized:
            raise RuntimeError("Graph is finalized and cannot be modified.")
        self.operations[op.name] = op
        self.changed()
        self.made_at[op.name] = self.version
        return len(self.operations)

    def create_op(
        self,
        kind: str,
        inputs: list[Tensor],
        output_dtypes: list[dtypes.DType],
        name: str | None = None,
        attrs: dict[str, Any] | None = None,
        shapes: Callable[[Operation], list[TensorShape]] | None = None,
    ) -> Operation:
        """Add a node whose inputs are tensors already; ``shapes`` says what its outputs are."""
        if self._finalized:
            raise RuntimeError("Graph is finalized and cannot be modified.")
        for tensor in inputs:
            if tensor.graph is not self:
                raise ValueError(f"Tensor {tensor} must be from the same graph as {kind}.")
        full = name or kind
        full = naming.from_scope(full) if full.endswith("/") else self.unique_name(full)
        controls = self._controls_for({t.op for t in inputs})
        op = Operation(self, kind, full, list(inputs), dict(attrs or {}), origin())
        unknown = TensorShape(None)
        op.outputs = [Tensor(op, i, d, unknown) for i, d in enumerate(output_dtypes)]
        try:
            for tensor, shape in zip(op.outputs, shapes(op) if shapes else (), strict=False):
                tensor._shape = shape
        except BaseException:
            del self.operations[full]  # TensorFlow leaves no node behind either
            raise
        for tensor in inputs:
            tensor.op._consumed.append(op)
        op.control_inputs = controls
        self._enter_scopes(op)
        return op

    def _enter_scopes(self, op: Operation) -> None:
        """Contexts, devices, colocation: what surrounds a new node."""
        op._control_flow_context = self._control_flow_context
        if self._control_flow_context is not None:
            self._control_flow_context.AddOp(op)
        for scope in self._attr_scopes:
            op.attrs = {k: v for k, v in scope.items() if v is not None} | op.attrs
        if op.type in self._gradient_overrides:
            op.attrs["_gradient_op_type"] = self._gradient_overrides[op.type]
        for dependencies in self._dependencies:
            dependencies.seen.add(op)
        for device in self._devices:
            wanted = device(op) if callable(device) else device
            op.device = naming.merge_device(op.device, wanted) if wanted else op.device
        self._colocate(op)

    def _colocate(self, op: Operation) -> None:
        if not self._colocation:
            return
        groups = {g.decode() for other in self._colocation for g in other.colocation_groups()}
        for other in self._colocation:
            op.device = other.device or op.device
        op.attrs["_class"] = sorted(groups)

    # ---- messages

    def as_graph_def(self, from_version: int | None = None, add_shapes: bool = False) -> Any:
        """The graph as a GraphDef, for files and other programs."""
        from evenkeel.tf1.graph_io import graph_def_of

        return graph_def_of(self, from_version, add_shapes)

    @property
    def graph_def_versions(self) -> Any:
        """The versions that a GraphDef of this graph carries."""
        from evenkeel.tf1.graph_io import versions

        return versions()

    # ---- names

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """``name`` inside the current scope, numbered where it is taken."""
        full = f"{self._name_stack}/{name}" if self._name_stack else name
        return self._names.unique(full, mark_as_used)

    def get_name_scope(self) -> str:
        """The current scope, without a slash at its end."""
        return self._name_stack or ""

    @contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """Names made inside begin with ``name/``; a name that ends in a slash is taken as it is."""
        if name:
            allowed = naming.SCOPE_NAME if self._name_stack else naming.OP_NAME
            if not allowed.match(name):
                raise ValueError(f"'{name}' is not a valid scope name")
        before = self._name_stack
        if not name:
            self._name_stack = None
        elif name.endswith("/"):
            self._name_stack = naming.from_scope(name)
        else:
            self._name_stack = self.unique_name(name)
        try:
            yield f"{self._name_stack}/" if self._name_stack else ""
        finally:
            self._name_stack = before

    # ---- control dependencies, devices, colocation

    def control_dependencies(self, control_inputs: Any) -> AbstractContextManager[None]:
        """Nodes made inside wait for these; None clears what surrounds them."""
        if control_inputs is None:
            return self._dependent(Dependencies([], new_stack=True))
        current = {op for d in self._dependencies for op in d.operations}
        wanted = as_operations(self, control_inputs)
        return self._dependent(Dependencies([op for op in wanted if op not in current]))

    @contextmanager
    def _dependent(self, dependencies: Dependencies) -> Iterator[None]:
        before, context = self._dependencies, self._control_flow_context
        if dependencies.new_stack:
            self._dependencies, self._control_flow_context = [], None
        self._dependencies = [*self._dependencies, dependencies]
        try:
            yield
        finally:
            self._dependencies = before
            if dependencies.new_stack:
                self._control_flow_context = context

    def _controls_for(self, input_ops: set[Operation]) -> list[Operation]:
        """Control inputs for a node, less those that one of its inputs implies."""
        found: list[Operation] = []
        for dependencies in self._dependencies:
            if not dependencies.seen & input_ops:
                found += [c for c in dependencies.operations if c not in input_ops]
        return list(dict.fromkeys(found))

    def _get_control_flow_context(self) -> Any:
        return self._control_flow_context

    def _set_control_flow_context(self, context: Any) -> None:
        self._control_flow_context = context

    @contextmanager
    def device(self, device: Any) -> Iterator[None]:
        """Nodes made inside ask for this device; None clears what surrounds them."""
        before = self._devices
        named = getattr(device, "to_string", lambda: device)()
        self._devices = [*before, named] if named is not None else []
        try:
            yield
        finally:
            self._devices = before

    @contextmanager
    def colocate_with(self, op: Any, ignore_existing: bool = False) -> Iterator[None]:
        """Nodes made inside belong to the group of ``op``."""
        before = self._colocation
        kept = [] if ignore_existing or op is None else before
        self._colocation = kept if op is None else [*kept, _operation_of(op)]
        try:
            yield
        finally:
            self._colocation = before

    @contextmanager
    def _attr_scope(self, attrs: dict[str, Any]) -> Iterator[None]:
        before = self._attr_scopes
        self._attr_scopes = [*before, attrs]
        try:
            yield
        finally:
            self._attr_scopes = before

    @contextmanager
    def gradient_override_map(self, overrides: dict[str, str]) -> Iterator[None]:
        """Nodes of these types made inside take the gradient functions named."""
        before = self._gradient_overrides
        self._gradient_overrides = before | overrides
        try:
            yield
        finally:
            self._gradient_overrides = before

    # ---- collections

    def add_to_collection(self, name: Any, value: Any) -> None:
        """Append ``value`` to a collection."""
        if self._finalized:
            raise RuntimeError("Graph is finalized and cannot be modified.")
        self._collections.setdefault(name, []).append(value)

    def add_to_collections(self, names: Any, value: Any) -> None:
        """Append ``value`` to each collection named once."""
        for name in {names} if isinstance(names, str) else dict.fromkeys(names):
            self.add_to_collection(name, value)

    def get_collection_ref(self, name: Any) -> list[Any]:
        """The collection itself: what is appended to it stays."""
        return self._collections.setdefault(name, [])

    def get_collection(self, name: Any, scope: str | None = None) -> list[Any]:
        """A copy of a collection; with ``scope`` the items whose names begin with that pattern."""
        import re

        items = self._collections.get(name, [])
        if scope is None:
            return list(items)
        pattern = re.compile(scope)
        return [i for i in items if hasattr(i, "name") and pattern.match(i.name)]

    def get_all_collection_keys(self) -> list[Any]:
        """The names of the collections."""
        return [key for key in self._collections if isinstance(key, str)]

    def clear_collection(self, name: Any) -> None:
        """Empty a collection."""
        self._collections.pop(name, None)

    # ---- look-ups

    def get_operations(self) -> list[Operation]:
        """All operations in creation order."""
        return list(self.operations.values())

    def get_operation_by_name(self, name: str) -> Operation:
        """The operation of this name; KeyError where there is none."""
        if not isinstance(name, str):
            raise TypeError(f"Operation names are strings, not {type(name).__name__}.")
        return self.as_graph_element(name, allow_tensor=False)  # type: ignore[return-value]

    def get_tensor_by_name(self, name: str) -> Tensor:
        """The tensor ``operation:index``; KeyError where there is none."""
        if not isinstance(name, str):
            raise TypeError(f"Tensor names are strings, not {type(name).__name__}.")
        return self.as_graph_element(name, allow_operation=False)  # type: ignore[return-value]

    def as_graph_element(
        self, obj: Any, allow_tensor: bool = True, allow_operation: bool = True
    ) -> Tensor | Operation:
        """The tensor or operation that ``obj`` is, names or stands for."""
        from evenkeel.tf1.elements import element

        return element(self, obj, allow_tensor, allow_operation)

    def unique_token(self, prefix: str) -> str:
        """A name for a Python function kept beside the graph."""
        return f"{prefix}_{len(self.functions)}"


def _operation_of(thing: Any) -> Operation:
    return thing if isinstance(thing, Operation) else thing.op


__all__ = ["Graph", "IndexedSlices", "Operation", "Tensor"]
