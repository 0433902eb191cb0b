"""What a session keeps between runs: values of variables, counters of stateful operations."""

from typing import Any

from evenkeel.tf1 import errors


class State:
    """Values by variable name. A value is never written to: an assignment puts another in its place."""

    __slots__ = ("device", "op_state", "resources", "variables")

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device
        self.variables: dict[str, Any] = {}
        self.op_state: dict[Any, Any] = {}  # by operation: what a stateful kernel remembers
        self.resources: dict[str, Any] = {}  # tables, iterators: by name

    def read(self, name: str) -> Any:
        """The value of a variable; FailedPreconditionError before it has one."""
        try:
            return self.variables[name]
        except KeyError:
            raise errors.FailedPreconditionError(
                None, None, f"Attempting to use uninitialized value {name}"
            ) from None

    def write(self, name: str, value: Any) -> Any:
        """Put ``value`` in the place of what the variable held."""
        if getattr(value, "requires_grad", False):
            value = value.detach()  # a variable outlives the run; the run's graph must not
        self.variables[name] = value
        return value
