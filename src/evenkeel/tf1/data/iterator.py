"""``tf.data.Iterator``: passes over datasets, and the nodes that read from them."""

from contextlib import AbstractContextManager
from typing import Any

from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.data import structure
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops.signature import signature
from evenkeel.tf1.stacks import get_default_graph

GLOBAL_ITERATORS = "iterators"


class Iterator(structure.Structured):
    """A pass over a dataset that a session keeps.

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     dataset = tf.data.Dataset.range(3).map(lambda x: x * 10)
    ...     iterator = dataset.make_initializable_iterator()
    ...     following = iterator.get_next()
    ...     sess.run(iterator.initializer)
    ...     [int(sess.run(following)) for _ in range(3)]
    [0, 10, 20]
    """

    def __init__(self, iterator_resource: Tensor, initializer: Operation | None, spec: Any) -> None:
        self._iterator_resource, self._initializer = iterator_resource, initializer
        self._spec = spec
        self._string_handle: Tensor = apply("IteratorToStringHandle", iterator_resource)
        get_default_graph().add_to_collection(GLOBAL_ITERATORS, iterator_resource)

    @staticmethod
    def from_structure(
        output_types: Any, output_shapes: Any = None, shared_name: str | None = None,
        output_classes: Any = None,
    ) -> "Iterator":  # fmt: skip
        """An iterator that goes over any dataset of these elements (``make_initializer``)."""
        spec = structure.specs_of(output_types, output_shapes)
        with get_default_graph().device("/cpu:0"):
            resource = apply(
                "IteratorV2",
                shared_name=shared_name or "",
                container="",
                **structure.attrs_of(spec),
            )
        return Iterator(resource, None, spec)

    @staticmethod
    def from_string_handle(
        string_handle: Any, output_types: Any, output_shapes: Any = None, output_classes: Any = None
    ) -> "Iterator":
        """The iterator whose ``string_handle`` is given when the graph runs."""
        spec = structure.specs_of(output_types, output_shapes)
        handle = convert(string_handle, "string")
        with get_default_graph().device("/cpu:0"):
            resource = apply("IteratorFromStringHandleV2", handle, **structure.attrs_of(spec))
        return Iterator(resource, None, spec)

    @property
    def initializer(self) -> Operation:
        """The node that starts the pass; ValueError for an iterator without one."""
        if self._initializer is None:
            raise ValueError("Iterator does not have an initializer.")
        return self._initializer

    def make_initializer(self, dataset: Any, name: str | None = None) -> Operation:
        """A node that starts a pass over a dataset."""
        with name_scope(name, "make_initializer") as scope:
            structure.check_compatible(self._spec, dataset.element_spec)
        return started(dataset._variant_tensor, self._iterator_resource, scope)

    def get_next(self, name: str | None = None) -> Any:
        """The next element; OutOfRangeError after the last, when it runs."""
        attrs = structure.attrs_of(self._spec)
        flat = apply("IteratorGetNext", self._iterator_resource, name=name, **attrs)
        return structure.pack(self._spec, flat)

    def string_handle(self, name: str | None = None) -> Tensor:
        """A string that ``from_string_handle`` takes."""
        if name is None:
            return self._string_handle
        return apply("IteratorToStringHandle", self._iterator_resource, name=name)  # type: ignore[no-any-return]


def started(variant: Tensor, resource: Tensor, name: str | None = None) -> Operation:
    """A node that starts an iterator at the beginning of a dataset."""
    colocated: AbstractContextManager[Any] = resource.graph.colocate_with(resource.op)
    with colocated:
        return apply("MakeIterator", variant, resource, name=name)  # type: ignore[no-any-return]


class OneShot:
    """The dataset of a one-shot iterator: its nodes, run once in each session."""

    name = "make_dataset"

    def __init__(self, variant: Tensor, fuses: bool) -> None:
        self._variant, self.fuses = variant, fuses
        _check_pure(variant)

    def bound(self, state: Any) -> Any:
        """A function that gives the dataset."""
        from evenkeel.tf1.lower import lower

        return lower(self._variant.graph, [self._variant], [], state)


def _check_pure(variant: Tensor) -> None:
    """ValueError where a dataset depends on what a session feeds or changes."""
    seen, todo = set(), [variant.op]
    while todo:
        op = todo.pop()
        if op in seen:
            continue
        seen.add(op)
        if op.type in ("Placeholder", "PlaceholderWithDefault"):
            raise ValueError(
                f"Cannot capture a placeholder (name:{op.name}, type:{op.type}) by value."
            )
        if signature(op.type).stateful and any(t.dtype != variant.dtype for t in op.outputs):
            raise ValueError(
                "Failed to create a one-shot iterator for a dataset. `Dataset.make_one_shot_"
                "iterator()` does not support datasets that capture stateful objects, such as a "
                "`Variable` or `LookupTable`. In these cases, use "
                "`Dataset.make_initializable_iterator()`. (Original error: Cannot capture a "
                f"stateful node (name:{op.name}, type:{op.type}) by value.)"
            )
        todo += [t.op for t in op.inputs] + op.control_inputs
