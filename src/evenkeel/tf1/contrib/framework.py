"""``tf.contrib.framework``: argument scopes and model variables."""

from typing import Any

from evenkeel.tf1.api.framework import is_tensor
from evenkeel.tf1.catalogue import missing
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


def __getattr__(name: str) -> Any:
    if name in _variables.__all__:
        return getattr(_variables, name)
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.contrib.framework.{name}", [*__all__, *_variables.__all__])
