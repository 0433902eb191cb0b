"""What a Saver saves: variables as the tensors they are made of, each with its name and its slice."""

from collections.abc import Iterator
from typing import Any

from evenkeel.tf1.build import apply, convert
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.stacks import get_default_graph

_REFERENCES = ("Variable", "VariableV2", "AutoReloadVariable")
_VARIABLES = (*_REFERENCES, "VarHandleOp", "ReadVariableOp")


class SaveSpec:
    """One tensor to save: its values, its slice of a larger one ("" for all), its name."""

    def __init__(
        self, tensor: Any, slice_spec: str, name: str, dtype: Any = None, device: Any = None
    ) -> None:
        self._tensor, self.slice_spec, self.name = tensor, slice_spec, name
        self.dtype = tensor.dtype if dtype is None else dtype
        self.device = tensor.device if device is None else device

    @property
    def tensor(self) -> Any:
        """The values; made now where a function was given."""
        return self._tensor() if callable(self._tensor) else self._tensor


class SaveableObject:
    """Something saved as tensors and restored from them; programs may make kinds of their own."""

    def __init__(self, op: Any, specs: list[SaveSpec], name: str) -> None:
        self.op, self.specs, self.name = op, specs, name

    @property
    def device(self) -> str:
        """Where its tensors are."""
        return str(self.specs[0].device)

    def restore(self, restored_tensors: Any, restored_shapes: Any) -> Any:
        """The node that takes the restored values."""
        raise NotImplementedError("Calling an abstract method.")


class _Reference(SaveableObject):
    """A variable that is a reference."""

    def __init__(self, ref: Tensor, slice_spec: str, name: str) -> None:
        super().__init__(ref, [SaveSpec(ref, slice_spec, name)], name)

    def restore(self, restored_tensors: Any, restored_shapes: Any) -> Any:
        value, shape = restored_tensors[0], self.op.get_shape()
        if restored_shapes is not None:
            value = apply("Reshape", value, restored_shapes[0])
        checks = restored_shapes is None and shape.is_fully_defined()
        return apply("Assign", self.op, value, validate_shape=checks)


class _Resource(SaveableObject):
    """A variable behind a handle; ``read`` is the tensor of its value."""

    def __init__(self, read: Tensor, slice_spec: str, name: str) -> None:
        super().__init__(read, [SaveSpec(read, slice_spec, name)], name)

    def restore(self, restored_tensors: Any, restored_shapes: Any) -> Any:
        value = restored_tensors[0]
        if restored_shapes is not None:
            value = apply("Reshape", value, restored_shapes[0])
        with get_default_graph().device(self.op.device):
            value = apply("Identity", value)
            self.op.get_shape().assert_is_compatible_with(value.get_shape())
            return apply("AssignVariableOp", self.op.op.inputs[0], value)


def element_of(variable: Any) -> Tensor | None:
    """The tensor that stands for a variable in a Saver: its reference, or the read of its handle."""
    if isinstance(variable, Tensor):
        found = variable
    elif hasattr(variable, "handle"):
        found = variable._graph_element
    elif hasattr(variable, "_ref"):
        found = variable._ref()
    else:
        return None
    return found if found.op.type in _VARIABLES else None


def saveables_of(var_list: Any) -> list[SaveableObject]:
    """What a Saver saves of a list of variables, or of a dict of them by name; sorted by name."""
    named = var_list if isinstance(var_list, dict) else by_name(var_list)
    found: list[SaveableObject] = []
    seen: set[int] = set()
    for name, value in sorted(named.items(), key=lambda item: str(item[0])):
        for saveable in _saveables(value, name):
            if id(saveable.op) in seen:
                raise ValueError(
                    f"The same saveable will be restored with two names: {saveable.name}"
                )
            seen.add(id(saveable.op))
            found.append(saveable)
    return found


def by_name(var_list: Any) -> dict[str, Any]:
    """Variables by the name they have in a checkpoint; slices of one variable as a list."""
    if not isinstance(var_list, list | tuple | set):
        raise TypeError(f"Variables to save should be passed in a dict or a list: {var_list}")
    found: dict[str, Any] = {}
    for var in var_list:
        if not hasattr(var, "name"):
            raise TypeError(f"Variable to save is not a Variable: {var}")
    for var in sorted(var_list, key=lambda v: str(v.name)):
        info = getattr(var, "_save_slice_info", None)
        if info:
            group = found.setdefault(info.full_name, [])
            if not isinstance(group, list):
                raise ValueError(
                    f"Mixing slices and non-slices with the same name: {info.full_name}"
                )
            group.append(var)
            continue
        name = _name_of(var)
        if name in found:
            raise ValueError(f"At least two variables have the same name: {name}")
        found[name] = var
    return found


def _name_of(var: Any) -> str:
    if isinstance(var, SaveableObject) or hasattr(var, "_get_variable_list"):
        return str(var.name)
    element = element_of(var)
    if element is None:
        raise TypeError(f"Variable to save is not a Variable: {var}")
    owner = element.op.inputs[0].op if element.op.type == "ReadVariableOp" else element.op
    return owner.name


def _saveables(value: Any, name: Any) -> Iterator[SaveableObject]:
    if not isinstance(name, str):
        raise TypeError(
            "names_to_saveables must be a dict mapping string names to trackable operations. Name is "
            f"not a string: {name}"
        )
    if hasattr(value, "specs") and hasattr(value, "restore"):
        yield value
    elif isinstance(value, list | tuple):
        yield from _slices(value, name)
    elif hasattr(value, "_get_variable_list"):
        yield from _slices(value._get_variable_list(), name)
    else:
        element = element_of(value)
        if element is None:
            raise TypeError(
                "names_to_saveables must be a dict mapping string names to Tensors/Variables. Not a "
                f"variable: {convert(value)}"
            )
        yield _kind(element)(element, "", name)


def _slices(variables: Any, name: str) -> Iterator[SaveableObject]:
    whole = None
    for variable in variables:
        info = getattr(variable, "_save_slice_info", None)
        element = element_of(variable)
        if element is None:
            raise ValueError(f"Slices must all be Variables: {variable}")
        if not info:
            raise ValueError(f"Slices must all be slices: {variable}")
        whole = whole or info.full_name
        if whole != info.full_name:
            raise ValueError(
                f"Slices must all be from the same tensor: {whole} != {info.full_name}"
            )
        yield _kind(element)(element, info.spec, name)


def _kind(element: Tensor) -> type[_Reference] | type[_Resource]:
    return _Reference if element.op.type in _REFERENCES else _Resource
