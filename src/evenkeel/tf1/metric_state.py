"""What metrics keep, and how they end."""

from typing import Any

from evenkeel.tf1.api.constants import zeros
from evenkeel.tf1.api.framework import add_to_collections
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.variables import Variable


def metric_variable(shape: Any, dtype: Any, name: str) -> Any:
    """A local variable of a metric, which starts at zero."""
    return Variable(
        lambda: zeros(shape, dtype), trainable=False,
        collections=[GraphKeys.LOCAL_VARIABLES, GraphKeys.METRIC_VARIABLES], name=name,
    )  # fmt: skip


def finished(value: Any, update: Any, metrics: Any, updates: Any) -> tuple[Any, Any]:
    """The pair, entered in the collections asked for."""
    if metrics:
        add_to_collections(metrics, value)
    if updates:
        add_to_collections(updates, update)
    return value, update
