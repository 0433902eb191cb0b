"""``tf.contrib.framework``: variables of a session from a checkpoint, or from values."""

from collections.abc import Callable
from typing import Any

from evenkeel.tf1 import logging
from evenkeel.tf1.api.constants import placeholder
from evenkeel.tf1.api.control import group
from evenkeel.tf1.catalogue import look_up
from evenkeel.tf1.contrib.variables import get_unique_variable
from evenkeel.tf1.train.checkpoints import NewCheckpointReader


def get_variable_full_name(var: Any) -> str:
    """The name in a checkpoint: for a slice, that of the whole."""
    info = getattr(var, "_save_slice_info", None)
    return str(info.full_name if info else var.op.name)


def assign_from_values(var_names_to_values: dict[str, Any]) -> tuple[Any, dict[Any, Any]]:
    """A node that gives variables these values, and what to feed to it."""
    done, feeds = [], {}
    for name, value in var_names_to_values.items():
        var = get_unique_variable(name)
        node = _placeholder(var)
        done.append(var.assign(node))
        feeds[node] = value.reshape(var.get_shape().as_list())
    return group(*done), feeds


def assign_from_values_fn(var_names_to_values: dict[str, Any]) -> Callable[[Any], Any]:
    """A function of a session that gives variables these values."""
    done, feeds = assign_from_values(var_names_to_values)
    return lambda session: session.run(done, feeds)


def assign_from_checkpoint(
    model_path: Any, var_list: Any, ignore_missing_vars: bool = False
) -> tuple[Any, dict[Any, Any]]:
    """A node that gives variables the values of a checkpoint, and what to feed to it."""
    reader, done, feeds = NewCheckpointReader(model_path), [], {}
    for name, variables in _grouped(var_list).items():
        if not reader.has_tensor(name):
            problem = f"Checkpoint is missing variable [{name}]"
            if not ignore_missing_vars:
                raise ValueError(problem)
            logging.warning(problem)
            continue
        value = reader.get_tensor(name)
        for var in variables:
            node = _placeholder(var)
            done.append(var.assign(node))
            feeds[node] = _part(var, value, name)
    return group(*done), feeds


def _grouped(var_list: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    if isinstance(var_list, dict):
        return {n: list(v) if isinstance(v, list | tuple) else [v] for n, v in var_list.items()}
    for var in var_list:
        found.setdefault(get_variable_full_name(var), []).append(var)
    return found


def _part(var: Any, value: Any, name: str) -> Any:
    info = getattr(var, "_save_slice_info", None)
    if info:
        sides = zip(info.var_offset, info.var_shape, strict=True)
        return value[tuple(slice(start, start + size) for start, size in sides)]
    if var.get_shape().as_list() != list(value.shape):
        raise ValueError(
            f"Total size of new array must be unchanged for {name} lh_shape: [{value.shape}], "
            f"rh_shape: [{var.get_shape()}]"
        )
    return value


def _placeholder(var: Any) -> Any:
    name = f"placeholder/{var.op.name}"
    return placeholder(dtype=var.dtype.base_dtype, shape=var.get_shape(), name=name)


def assign_from_checkpoint_fn(
    model_path: Any, var_list: Any, ignore_missing_vars: bool = False,
    reshape_variables: bool = False,
) -> Callable[[Any], None] | None:  # fmt: skip
    """A function of a session that restores variables; None where the checkpoint has none of them."""
    if not var_list:
        raise ValueError("var_list cannot be empty")
    if ignore_missing_vars:
        reader = NewCheckpointReader(model_path)
        named = var_list if isinstance(var_list, dict) else {v.op.name: v for v in var_list}
        for name in named:
            if not reader.has_tensor(name):
                logging.warning("Variable %s missing in checkpoint %s", name, model_path)
        var_list = {name: var for name, var in named.items() if reader.has_tensor(name)}
    if not var_list:
        logging.warning("No Variables to restore")
        return None
    train = look_up("train")
    saver = train.Saver(var_list, reshape=reshape_variables, write_version=train.SaverDef.V1)
    return lambda session: saver.restore(session, model_path)


__all__ = [
    "assign_from_checkpoint", "assign_from_checkpoint_fn", "assign_from_values",
    "assign_from_values_fn", "get_variable_full_name",
]  # fmt: skip
