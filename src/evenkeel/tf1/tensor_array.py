"""``tf.TensorArray``: the class that programs hold; its values are in ``ops/tensor_arrays.py``."""

from typing import Any

from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.dtypes import as_dtype
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import TensorShape, as_shape
from evenkeel.tf1.stacks import get_default_graph


class _Element:
    """What is known of the shape of an array's values; all with one handle share it."""

    def __init__(self, shape: Any, is_one: bool) -> None:
        self.shape, self.is_one = as_shape(shape), is_one

    def meet(self, shape: TensorShape) -> None:
        """Take a value's shape into account."""
        if not shape.is_compatible_with(self.shape):
            raise ValueError(f"Inconsistent shapes: saw {shape} but expected {self.shape} ")
        if self.is_one:
            self.shape = self.shape.merge_with(shape)


class TensorArray:
    """Values by number, each written once: what loops read from and write to.

    ``colocate_with_first_write_call`` has no meaning here.

    Raises:  ValueError for values of different shapes, unless ``infer_shape`` is False; when it runs
             InvalidArgumentError for a place outside, written twice, or read twice
    Source:  TensorFlow 1.15, tf.TensorArray

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     array = tf.TensorArray(tf.float32, size=2).write(0, [1.0]).write(1, [2.0])
    ...     sess.run(array.stack())
    array([[1.],
           [2.]], dtype=float32)
    """

    def __init__(
        self,
        dtype: Any,
        size: Any = None,
        dynamic_size: bool | None = None,
        clear_after_read: bool | None = None,
        tensor_array_name: str | None = None,
        handle: Tensor | None = None,
        flow: Tensor | None = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ) -> None:
        if (handle is None) == (size is None):
            raise ValueError("Size must be provided if handle is not provided, and only then")
        self.dtype = as_dtype(dtype).base_dtype
        self._element = _Element(element_shape, infer_shape)
        with name_scope(name, "TensorArray", [handle, size, flow]) as scope:
            if handle is None:
                once = True if clear_after_read is None else clear_after_read
                handle, flow = apply(
                    "TensorArrayV3", size, dtype=self.dtype, element_shape=as_shape(element_shape),
                    identical_element_shapes=infer_shape, dynamic_size=dynamic_size or False,
                    clear_after_read=once, tensor_array_name=tensor_array_name, name=scope,
                )  # fmt: skip
            if handle is None or flow is None:
                raise ValueError("flow must not be None if handle is not None.")
        self.handle, self.flow = handle, flow

    @property
    def element_shape(self) -> TensorShape:
        """What is known of the shape of each value."""
        return self._element.shape

    def with_flow(self, flow: Tensor) -> "TensorArray":
        """The same array after what ``flow`` stands for."""
        made = TensorArray(self.dtype, handle=self.handle, flow=flow)
        made._element = self._element
        return made

    def identity(self) -> "TensorArray":
        """The same array, its flow through an Identity."""
        return self.with_flow(apply("Identity", self.flow))

    def write(self, index: Any, value: Any, name: str | None = None) -> "TensorArray":
        """The array after a value was put at a place."""
        with name_scope(name, "TensorArrayWrite", [self.handle, index, value]):
            tensor = self._value(value)
            self._element.meet(tensor.shape)
            flow = apply("TensorArrayWriteV3", self.handle, index, tensor, self.flow, name=name)
            return self.with_flow(flow)

    def _value(self, value: Any) -> Tensor:
        tensor = convert(value, preferred=self.dtype, name="value")
        if tensor.dtype.base_dtype != self.dtype:
            raise TypeError(
                f"TensorArray dtype is {self.dtype.name} but Op is trying to write dtype "
                f"{tensor.dtype.name}."
            )
        return tensor

    def read(self, index: Any, name: str | None = None) -> Tensor:
        """The value at a place."""
        inputs = [self.handle, index, self.flow]
        value: Tensor = apply("TensorArrayReadV3", *inputs, dtype=self.dtype, name=name)
        value.set_shape(self.element_shape)
        return value

    def stack(self, name: str | None = None) -> Tensor:
        """All values as rows of one tensor."""
        from evenkeel.tf1.api.constants import range as places

        with name_scope(name, "TensorArrayStack", [self.handle]):
            return self.gather(places(0, self.size()), name=name)

    def gather(self, indices: Any, name: str | None = None) -> Tensor:
        """The values of places as rows of one tensor."""
        shape = self.element_shape
        value: Tensor = apply(
            "TensorArrayGatherV3", self.handle, indices, self.flow, dtype=self.dtype,
            element_shape=shape, name=name,
        )  # fmt: skip
        if shape.ndims is not None:
            value.set_shape([None, *shape.as_list()])
        return value

    def unstack(self, value: Any, name: str | None = None) -> "TensorArray":
        """The array after each row of a tensor was put at the place of its number."""
        from evenkeel.tf1.api.arrays import shape
        from evenkeel.tf1.api.constants import range as places

        with name_scope(name, "TensorArrayUnstack", [self.handle, value]):
            count = shape(value)[0]
            return self.scatter(places(0, count), value, name=name)

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> "TensorArray":
        """The array after rows of a tensor were put at places."""
        with name_scope(name, "TensorArrayScatter", [self.handle, value, indices]):
            tensor = self._value(value)
            self._element.meet(tensor.shape[1:])
            inputs = [self.handle, indices, tensor, self.flow]
            return self.with_flow(apply("TensorArrayScatterV3", *inputs, name=name))

    def concat(self, name: str | None = None) -> Tensor:
        """All values joined along their first axis."""
        shape = self.element_shape
        rest = shape[1:] if shape.ndims is not None else TensorShape(None)
        value: Tensor = apply(
            "TensorArrayConcatV3", self.handle, self.flow, dtype=self.dtype,
            element_shape_except0=rest, name=name,
        )[0]  # fmt: skip
        if shape.ndims is not None:
            value.set_shape([None, *shape.as_list()[1:]])
        return value

    def split(self, value: Any, lengths: Any, name: str | None = None) -> "TensorArray":
        """The array after parts of a tensor were put at the places in turn."""
        from evenkeel.tf1.api.math import cast

        with name_scope(name, "TensorArraySplit", [self.handle, value, lengths]):
            tensor = convert(value, self.dtype, name="value")
            inputs = [self.handle, tensor, cast(lengths, "int64"), self.flow]
            return self.with_flow(apply("TensorArraySplitV3", *inputs, name=name))

    def size(self, name: str | None = None) -> Tensor:
        """The number of places."""
        return apply("TensorArraySizeV3", self.handle, self.flow, name=name)  # type: ignore[no-any-return]

    def close(self, name: str | None = None) -> Any:
        """A node that forgets the values."""
        return apply("TensorArrayCloseV3", self.handle, name=name)

    def grad(
        self, source: str, flow: Tensor | None = None, name: str | None = None
    ) -> "TensorArray":
        """The array of the gradients that one call of tf.gradients, ``source``, finds."""
        with name_scope(name, "TensorArrayGrad", [self.handle]):
            given = self.flow if flow is None else flow
            handle, _ = apply("TensorArrayGradV3", self.handle, given, source=source, name=name)
            with get_default_graph().control_dependencies([handle]):
                after = apply("Identity", given, name="gradient_flow")
            made = TensorArray(self.dtype, handle=handle, flow=after)
            made._element = self._element
            return made
