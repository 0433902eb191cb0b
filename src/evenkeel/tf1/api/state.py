"""Collections of variables, their initialization, their assignment."""

from typing import Any

import numpy as np

from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.control_ops import group
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.variables import Variable, init_scope

__all__ = [
    "GraphKeys",
    "Variable",
    "all_variables",
    "assert_variables_initialized",
    "assign",
    "assign_add",
    "assign_sub",
    "count_up_to",
    "global_variables",
    "global_variables_initializer",
    "init_scope",
    "initialize_all_variables",
    "initialize_local_variables",
    "initialize_variables",
    "is_variable_initialized",
    "local_variables",
    "local_variables_initializer",
    "model_variables",
    "moving_average_variables",
    "report_uninitialized_variables",
    "scatter_add",
    "scatter_div",
    "scatter_max",
    "scatter_min",
    "scatter_mul",
    "scatter_sub",
    "scatter_update",
    "trainable_variables",
    "variables_initializer",
]


def global_variables(scope: str | None = None) -> list[Any]:
    """The variables of the model and its training."""
    return get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES, scope)


all_variables = global_variables


def local_variables(scope: str | None = None) -> list[Any]:
    """The variables that are not saved."""
    return get_default_graph().get_collection(GraphKeys.LOCAL_VARIABLES, scope)


def model_variables(scope: str | None = None) -> list[Any]:
    """The variables that inference needs."""
    return get_default_graph().get_collection(GraphKeys.MODEL_VARIABLES, scope)


def trainable_variables(scope: str | None = None) -> list[Any]:
    """The variables that optimizers train."""
    return get_default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES, scope)


def moving_average_variables(scope: str | None = None) -> list[Any]:
    """The variables that moving averages are kept of."""
    return get_default_graph().get_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, scope)


def variables_initializer(var_list: Any, name: str = "init") -> Operation:
    """One node that initializes these variables."""
    if var_list:
        return group(*[v.initializer for v in var_list], name=name)
    return group(name=name)


def global_variables_initializer() -> Operation:
    """One node that initializes the global variables."""
    return variables_initializer(global_variables())


def local_variables_initializer() -> Operation:
    """One node that initializes the local variables."""
    return variables_initializer(local_variables())


initialize_variables = variables_initializer
initialize_all_variables = global_variables_initializer
initialize_local_variables = local_variables_initializer


def is_variable_initialized(variable: Any) -> Tensor:
    """Whether a variable has a value."""
    handle = variable._ref() if hasattr(variable, "_ref") else variable
    kind = "VarIsInitializedOp" if handle.dtype.name == "resource" else "IsVariableInitialized"
    return apply(kind, handle)  # type: ignore[no-any-return]


def assert_variables_initialized(var_list: Any = None) -> Any:
    """A node that fails where a variable has no value."""
    chosen = global_variables() + local_variables() if var_list is None else var_list
    reads = [apply("Identity", v) for v in chosen]
    return group(*reads) if reads else None


def report_uninitialized_variables(
    var_list: Any = None, name: str = "report_uninitialized_variables"
) -> Tensor:
    """The names of the variables without a value, when it runs."""
    chosen = global_variables() + local_variables() if var_list is None else list(var_list)
    with name_scope(name):
        if not chosen:
            return convert(np.array([], dtype=object), "string")
        ready = apply("Pack", [is_variable_initialized(v) for v in chosen], name="stack")
        missing = apply("LogicalNot", ready)
        names = convert(np.array([v.op.name for v in chosen], dtype=object), "string")
        return _masked(names, missing)


def _masked(names: Tensor, mask: Tensor) -> Tensor:
    from evenkeel.tf1.api.indexing import boolean_mask

    masked: Tensor = boolean_mask(names, mask)
    return masked


def _changed(kind: str, ref: Any, value: Any, name: str | None, **attrs: Any) -> Any:
    if hasattr(ref, "handle"):
        methods = {"Assign": "assign", "AssignAdd": "assign_add", "AssignSub": "assign_sub"}
        return getattr(ref, methods[kind])(value, name=name)
    return apply(kind, ref, value, name=name, **attrs)


def assign(
    ref: Any, value: Any, validate_shape: Any = None, use_locking: Any = None, name: Any = None
) -> Any:
    """A node that gives a variable a value."""
    attrs = {"validate_shape": validate_shape, "use_locking": use_locking}
    return _changed("Assign", ref, value, name, **attrs)


def assign_add(ref: Any, value: Any, use_locking: Any = None, name: Any = None) -> Any:
    """A node that adds to a variable."""
    return _changed("AssignAdd", ref, value, name, use_locking=use_locking)


def assign_sub(ref: Any, value: Any, use_locking: Any = None, name: Any = None) -> Any:
    """A node that subtracts from a variable."""
    return _changed("AssignSub", ref, value, name, use_locking=use_locking)


def count_up_to(ref: Any, limit: int, name: Any = None) -> Tensor:
    """A node that adds one, up to a limit."""
    return apply("CountUpTo", ref, limit=limit, name=name)  # type: ignore[no-any-return]


def _scatter(kind: str) -> Any:
    def scatter(
        ref: Any, indices: Any, updates: Any, use_locking: bool = True, name: Any = None
    ) -> Any:
        return apply(kind, ref, indices, updates, use_locking=use_locking, name=name)

    scatter.__doc__ = f"{kind}: a node that changes some rows of a variable."
    return scatter


scatter_update, scatter_add = _scatter("ScatterUpdate"), _scatter("ScatterAdd")
scatter_sub, scatter_mul = _scatter("ScatterSub"), _scatter("ScatterMul")
scatter_div, scatter_min = _scatter("ScatterDiv"), _scatter("ScatterMin")
scatter_max = _scatter("ScatterMax")
