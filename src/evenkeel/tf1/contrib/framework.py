"""``tf.contrib.framework``: argument scopes, model variables, variables from checkpoints."""

from typing import Any

from evenkeel.tf1.api.framework import is_tensor
from evenkeel.tf1.catalogue import look_up, missing
from evenkeel.tf1.contrib import restoring as _restoring
from evenkeel.tf1.contrib import variables as _variables
from evenkeel.tf1.contrib.arg_scope import (
    add_arg_scope,
    arg_scope,
    arg_scoped_arguments,
    current_arg_scope,
    has_arg_scope,
)

__all__ = [
    "add_arg_scope", "arg_scope", "arg_scoped_arguments", "current_arg_scope", "has_arg_scope",
    "is_tensor",
]  # fmt: skip
_OF_TRAIN = ("init_from_checkpoint", "list_variables", "load_checkpoint", "load_variable")


def __getattr__(name: str) -> Any:
    for part in (_variables, _restoring):
        if name in part.__all__:
            return getattr(part, name)
    if name in _OF_TRAIN:
        return getattr(look_up("train"), name)
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(
        f"tf.contrib.framework.{name}",
        [*__all__, *_variables.__all__, *_restoring.__all__, *_OF_TRAIN],
    )
