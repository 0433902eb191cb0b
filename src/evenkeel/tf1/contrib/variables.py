"""Model variables: those that inference needs have a collection of their own."""

from typing import Any

from evenkeel.tf1.api.framework import get_collection
from evenkeel.tf1.api.variable_scopes import get_variable
from evenkeel.tf1.contrib.arg_scope import add_arg_scope
from evenkeel.tf1.dtypes import float32
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph


@add_arg_scope
def variable(
    name: str, shape: Any = None, dtype: Any = None, initializer: Any = None,
    regularizer: Any = None, trainable: bool = True, collections: Any = None,
    caching_device: Any = None, device: Any = None, partitioner: Any = None,
    custom_getter: Any = None, use_resource: Any = None,
) -> Any:  # fmt: skip
    """The variable of this name, also in these collections."""
    keys = list([GraphKeys.GLOBAL_VARIABLES] if collections is None else collections)
    with get_default_graph().device(device or ""):
        return get_variable(
            name, shape=shape, dtype=dtype, initializer=initializer, regularizer=regularizer,
            trainable=trainable, collections=list(dict.fromkeys(keys)), custom_getter=custom_getter,
        )  # fmt: skip


@add_arg_scope
def model_variable(
    name: str, shape: Any = None, dtype: Any = float32, initializer: Any = None,
    regularizer: Any = None, trainable: bool = True, collections: Any = None,
    caching_device: Any = None, device: Any = None, partitioner: Any = None,
    custom_getter: Any = None, use_resource: Any = None,
) -> Any:  # fmt: skip
    """A variable that inference needs."""
    keys = [*(collections or []), GraphKeys.GLOBAL_VARIABLES, GraphKeys.MODEL_VARIABLES]
    return variable(
        name, shape=shape, dtype=dtype, initializer=initializer, regularizer=regularizer,
        trainable=trainable, collections=keys, device=device, custom_getter=custom_getter,
    )  # fmt: skip


def getter_of(rename: dict[str, str]) -> Any:
    """A custom getter that makes model variables, under contrib's names for the layers'."""

    def get(getter: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        scope, slash, last = name.rpartition("/")
        keys = [
            *(kwargs.get("collections") or []), GraphKeys.GLOBAL_VARIABLES,
            GraphKeys.MODEL_VARIABLES,
        ]  # fmt: skip
        kwargs["collections"] = list(dict.fromkeys(keys))
        return getter(scope + slash + rename.get(last, last), *args, **kwargs)

    return get


def local_variable(initial_value: Any, validate_shape: bool = True, name: Any = None) -> Any:
    """A variable that is neither trained nor saved."""
    from evenkeel.tf1.variables import Variable

    return Variable(
        initial_value, trainable=False, collections=[GraphKeys.LOCAL_VARIABLES],
        validate_shape=validate_shape, name=name,
    )  # fmt: skip


def _of(collection: str) -> Any:
    def get(scope: Any = None, suffix: Any = None) -> list[Any]:
        return get_variables(scope, suffix, collection)

    get.__doc__ = f"The variables of a scope in the collection {collection}."
    return get


def get_variables(
    scope: Any = None, suffix: Any = None, collection: str = GraphKeys.GLOBAL_VARIABLES
) -> list[Any]:
    """The variables of a scope whose names end so."""
    name = getattr(scope, "name", scope)
    if suffix is not None:
        suffix = suffix if ":" in suffix else suffix + ":"
        name = f"{name or ''}.*{suffix}"
    return get_collection(collection, name)


get_model_variables = _of(GraphKeys.MODEL_VARIABLES)
get_trainable_variables = _of(GraphKeys.TRAINABLE_VARIABLES)
get_local_variables = _of(GraphKeys.LOCAL_VARIABLES)


def get_variables_by_name(given_name: str, scope: Any = None) -> list[Any]:
    """The variables of a scope with this last name."""
    return get_variables(scope, rf"/{given_name}:|^{given_name}:")


def get_variables_by_suffix(suffix: str, scope: Any = None) -> list[Any]:
    """The variables of a scope whose names end so."""
    return get_variables(scope, suffix)


def get_unique_variable(var_op_name: str) -> Any:
    """The one variable of this name."""
    found = get_collection(GraphKeys.GLOBAL_VARIABLES, var_op_name)
    exact = [v for v in found if v.op.name == var_op_name]
    if exact or len(found) == 1:
        return (exact or found)[0]
    raise ValueError(f"Variable {var_op_name} does not uniquely identify a variable")


def get_variables_to_restore(include: Any = None, exclude: Any = None) -> list[Any]:
    """The variables of some scopes, without those of others."""
    chosen = get_variables() if include is None else [v for s in include for v in get_variables(s)]
    out = {v for s in exclude or [] for v in get_variables(s)}
    return [v for v in chosen if v not in out]


def get_global_step(graph: Any = None) -> Any:
    """The global step, or None where there is none."""
    from evenkeel.tf1.catalogue import look_up

    return look_up("train").get_global_step(graph)


def get_or_create_global_step(graph: Any = None) -> Any:
    """The global step; made where there is none."""
    from evenkeel.tf1.catalogue import look_up

    return look_up("train").get_or_create_global_step(graph)


def create_global_step(graph: Any = None) -> Any:
    """A global step where there is none yet."""
    from evenkeel.tf1.catalogue import look_up

    return look_up("train").create_global_step(graph)


def assert_global_step(global_step: Any) -> None:
    """TypeError unless this is a scalar of integers."""
    if not global_step.dtype.base_dtype.is_integer:
        raise TypeError(f'Existing "global_step" does not have integer type: {global_step.dtype}')


__all__ = [
    "assert_global_step", "create_global_step", "get_global_step", "get_local_variables",
    "get_model_variables", "get_or_create_global_step", "get_trainable_variables",
    "get_unique_variable", "get_variables", "get_variables_by_name", "get_variables_by_suffix",
    "get_variables_to_restore", "local_variable", "model_variable", "variable",
]  # fmt: skip
