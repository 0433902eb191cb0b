"""Assignments that move averages, named as the layers of TensorFlow name them."""

from typing import Any

from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.state import assign, assign_sub
from evenkeel.tf1.build import convert, name_scope
from evenkeel.tf1.stacks import get_default_graph


def average(variable: Any, value: Any, momentum: Any) -> Any:
    """``variable −= (variable − value) · (1 − momentum)``."""
    with name_scope("AssignMovingAvg") as scope, get_default_graph().colocate_with(variable):
        decay = convert(1.0 - momentum, name="decay")
        kind = variable.dtype.base_dtype
        if decay.dtype.base_dtype != kind:
            decay = cast(decay, kind)
        return assign_sub(variable, (variable - cast(value, kind)) * decay, name=scope)


def value(variable: Any, new: Any) -> Any:
    """Variable = new."""
    with name_scope("AssignNewValue") as scope, get_default_graph().colocate_with(variable):
        return assign(variable, new, name=scope)
