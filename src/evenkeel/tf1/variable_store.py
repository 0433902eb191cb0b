"""The variables that ``get_variable`` made, by name, and how one is found or made."""

import functools
import inspect
from typing import Any

from evenkeel.tf1.build import name_scope
from evenkeel.tf1.dtypes import as_dtype, float32
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.partitioned_variable import PartitionedVariable, partitioned
from evenkeel.tf1.shapes import TensorShape
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.variables import Variable

_KEY = ("__variable_store",)


class AutoReuse:
    """``tf.AUTO_REUSE``: take a variable that exists, make one that does not."""

    def __repr__(self) -> str:
        return "_ReuseMode.AUTO_REUSE"

    def __bool__(self) -> bool:
        return True


AUTO_REUSE = AutoReuse()


class VariableStore:
    """One graph's variables by name."""

    def __init__(self) -> None:
        self.variables: dict[str, Any] = {}
        self.partitioned: dict[str, PartitionedVariable] = {}

    def get(self, name: str, custom_getter: Any, **wanted: Any) -> Any:
        """The variable of this name, through the custom getter where there is one."""
        if custom_getter is None:
            return self._true(name, **wanted)
        return custom_getter(self._true, name, **wanted)

    def _true(self, name: str, *args: Any, **wanted: Any) -> Any:
        order = ("shape", "dtype", "initializer", "regularizer", "reuse", "trainable")
        wanted |= dict(zip(order, args, strict=False))
        partitioner = wanted.pop("partitioner", None)
        if partitioner is None or TensorShape(wanted.get("shape")).ndims == 0:
            return self.single(name=name, **wanted)
        return self._in_parts(name, partitioner, wanted)

    def _in_parts(self, name: str, partitioner: Any, wanted: dict[str, Any]) -> Any:
        if name in self.partitioned:
            if not wanted.get("reuse"):
                raise ValueError(
                    f"Partitioned variable with name {name} already exists. Did you mean to set "
                    "reuse=True or reuse=tf.AUTO_REUSE in VarScope?"
                )
            return self.partitioned[name]
        sizes = TensorShape(wanted.pop("shape", None))
        kind = as_dtype(wanted.get("dtype") or float32).base_dtype

        def part(own: str, shape: list[int], info: Any) -> Any:
            return self.single(name=own, shape=shape, partition_info=info, **wanted)

        made = partitioned(name, sizes, kind, partitioner, part)
        self.partitioned[name] = made
        return made

    def single(
        self,
        name: str,
        shape: Any = None,
        dtype: Any = float32,
        initializer: Any = None,
        regularizer: Any = None,
        reuse: Any = None,
        trainable: Any = None,
        collections: Any = None,
        caching_device: Any = None,
        validate_shape: bool = True,
        constraint: Any = None,
        partition_info: Any = None,
        **_: Any,
    ) -> Any:
        """The variable of this name: taken where ``reuse`` says so, else made."""
        kind, sizes = as_dtype(dtype or float32).base_dtype, TensorShape(shape)
        if name in self.variables:
            return _shared(self.variables[name], name, kind, sizes, reuse)
        if reuse is True:
            raise ValueError(
                f"Variable {name} does not exist, or was not created with tf.get_variable(). Did "
                "you mean to set reuse=tf.AUTO_REUSE in VarScope?"
            )
        value = _initial(name, initializer, sizes, kind, shape, partition_info)
        made = Variable(
            initial_value=value,
            name=name,
            trainable=trainable,
            collections=collections,
            caching_device=caching_device,
            dtype=None if isinstance(value, Tensor) else kind,
            validate_shape=validate_shape,
            constraint=constraint,
        )
        self.variables[name] = made
        if regularizer is not None:
            _regularize(made, regularizer, name)
        return made


def _shared(found: Any, name: str, dtype: Any, shape: TensorShape, reuse: Any) -> Any:
    if not reuse:
        raise ValueError(
            f"Variable {name} already exists, disallowed. Did you mean to set reuse=True or "
            f"reuse=tf.AUTO_REUSE in VarScope? Originally defined at:\n\n  {found.op.origin}\n"
        )
    if not shape.is_compatible_with(found.shape):
        raise ValueError(
            f"Trying to share variable {name}, but specified shape {shape} and found shape "
            f"{found.shape}."
        )
    if not dtype.is_compatible_with(found.dtype):
        raise ValueError(
            f"Trying to share variable {name}, but specified dtype {dtype.name} and found dtype "
            f"{found.dtype.base_dtype.name}."
        )
    return found


def _initial(
    name: str, initializer: Any, shape: TensorShape, dtype: Any, given: Any, part: Any
) -> Any:
    """What the variable starts from: a value, or a function of nothing."""
    if initializer is None:
        initializer = _default(dtype)
    if inspect.isclass(initializer):
        initializer = initializer()
    if not callable(initializer):
        if given is not None:
            raise ValueError("If initializer is a constant, do not specify shape.")
        return initializer
    if given is not None and shape.is_fully_defined():
        told = {} if part is None else {"partition_info": part}
        return functools.partial(initializer, shape.as_list(), dtype=dtype, **told)
    if not inspect.signature(initializer).parameters:
        return initializer
    raise ValueError(
        f"Shape of a new variable ({name}) must be fully defined, but instead was {shape}."
    )


def _default(dtype: Any) -> Any:
    from evenkeel.tf1.catalogue import look_up

    if dtype.is_floating:
        return look_up("glorot_uniform_initializer")()
    if dtype.is_integer or dtype.is_bool:
        return look_up("zeros_initializer")()
    raise ValueError(f"An initializer for a variable of {dtype} is required")


def _regularize(variable: Any, regularizer: Any, name: str) -> None:
    graph = get_default_graph()
    with graph.colocate_with(variable.op), name_scope(f"{name}/Regularizer/"):
        loss = regularizer(variable)
        if loss is not None:
            graph.add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)


def default_store() -> VariableStore:
    """The store of the default graph."""
    kept = get_default_graph().get_collection_ref(_KEY)
    if not kept:
        kept.append(VariableStore())
    return kept[0]  # type: ignore[no-any-return]
