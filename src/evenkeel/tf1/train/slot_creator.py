"""Slots: variables that an optimizer keeps beside a variable, named ``variable/Optimizer``."""

from contextlib import AbstractContextManager
from typing import Any

from evenkeel.tf1.api.constants import ones, zeros
from evenkeel.tf1.api.variable_scopes import get_variable, variable_scope
from evenkeel.tf1.build import constant
from evenkeel.tf1.stacks import get_default_graph


def zeros_initializer(shape: Any, dtype: Any = None, **_: Any) -> Any:
    """Zeros."""
    return zeros(shape, dtype)


def ones_initializer(shape: Any, dtype: Any = None, **_: Any) -> Any:
    """Ones."""
    return ones(shape, dtype)


def constant_initializer(value: float) -> Any:
    """One value everywhere."""

    def initializer(shape: Any, dtype: Any = None, **_: Any) -> Any:
        return constant(value, dtype, shape)

    return initializer


def colocated(primary: Any) -> AbstractContextManager[None]:
    """Beside a variable, whatever surrounds."""
    return get_default_graph().colocate_with(primary)


def create_slot(primary: Any, val: Any, name: str, colocate_with_primary: bool = True) -> Any:
    """A slot that starts from a tensor."""
    known = val.shape.is_fully_defined()
    with variable_scope(None, f"{primary.op.name}/{name}"), colocated(primary):
        return get_variable("", initializer=val, trainable=False, validate_shape=known)


def create_slot_with_initializer(
    primary: Any, initializer: Any, shape: Any, dtype: Any, name: str,
    colocate_with_primary: bool = True,
) -> Any:  # fmt: skip
    """A slot that starts from what an initializer makes."""
    known = shape.is_fully_defined()
    with variable_scope(None, f"{primary.op.name}/{name}"), colocated(primary):
        return get_variable(
            "", shape=shape, dtype=dtype, initializer=initializer, trainable=False,
            validate_shape=known,
        )  # fmt: skip


def create_zeros_slot(
    primary: Any, name: str, dtype: Any = None, colocate_with_primary: bool = True
) -> Any:
    """A slot of zeros in the shape of a variable."""
    kind = primary.dtype.base_dtype if dtype is None else dtype
    shape = primary.get_shape()
    if shape.is_fully_defined():
        return create_slot_with_initializer(primary, zeros_initializer, shape, kind, name)
    from evenkeel.tf1.api.arrays import shape as shape_of

    sizes = shape_of(primary.initialized_value() if hasattr(primary, "op") else primary)
    return create_slot(primary, zeros(sizes, kind), name)
