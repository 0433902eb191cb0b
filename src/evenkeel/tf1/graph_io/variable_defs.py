"""Variables as VariableDefs, and variables of nodes that are there already."""

from types import SimpleNamespace
from typing import Any

from evenkeel.tf1.graph_io.scopes import element, without
from evenkeel.tf1.proto import VariableDef
from evenkeel.tf1.stacks import get_default_graph

_SLICE = ("full_shape", "var_offset", "var_shape")


def variable_to_proto(variable: Any, export_scope: str | None = None) -> Any:
    """The VariableDef of a variable; None for one outside of ``export_scope``."""
    names = {
        "variable_name": variable._ref().name,
        "initializer_name": variable.initializer.name,
        "snapshot_name": variable._as_graph_element().name,
        "initial_value_name": getattr(variable.initial_value, "name", ""),
    }
    short = {key: without(name, export_scope) for key, name in names.items()}
    if short["variable_name"] is None:
        return None
    made = VariableDef(
        **{key: name or "" for key, name in short.items()},
        trainable=bool(variable.trainable),
        is_resource=not variable._ref().dtype.is_ref,
    )
    info = getattr(variable, "_save_slice_info", None)
    if info is not None:
        said = made.save_slice_info_def
        said.full_name = info.full_name
        for name in _SLICE:
            getattr(said, name).extend(getattr(info, name))
    return made


def fill_variable(variable: Any, proto: Any, import_scope: str | None = None) -> None:
    """Give a variable without nodes of its own those that a VariableDef names."""
    graph = get_default_graph()
    place = f"the variable {proto.variable_name!r}"

    def named(name: str) -> Any:
        return element(graph, name, import_scope, place)

    variable._graph, variable._constraint, variable._validate = graph, None, True
    variable._ref_tensor = named(proto.variable_name)
    variable._initializer_op = named(proto.initializer_name)
    variable._snapshot = named(proto.snapshot_name)
    variable._initial_value = _initial(variable._initializer_op, proto, named)
    variable._trainable = proto.trainable
    variable._save_slice_info = _slice_info(proto)


def _initial(initializer: Any, proto: Any, named: Any) -> Any:
    """Files of older versions do not name the initial value: it is what the initializer assigns."""
    return named(proto.initial_value_name) if proto.initial_value_name else initializer.inputs[1]


def _slice_info(proto: Any) -> Any:
    if not proto.HasField("save_slice_info_def"):
        return None
    info = proto.save_slice_info_def
    sizes = {name: list(getattr(info, name)) for name in _SLICE}
    return SimpleNamespace(full_name=info.full_name, **sizes)
