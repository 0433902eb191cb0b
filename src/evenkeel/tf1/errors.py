"""``tf.errors``: one class a status code; each names the operation and the program's line."""

from typing import Any


class OpError(Exception):
    """What went wrong while a graph ran: the operation, the message, the status code."""

    code = 2

    def __init__(self, node_def: Any, op: Any, message: str, error_code: int | None = None) -> None:
        super().__init__(message)
        self.message, self.op, self._node_def = message, op, node_def
        self.error_code = self.code if error_code is None else error_code

    @property
    def node_def(self) -> Any:
        """The message of the operation's node."""
        return self._node_def if self._node_def is not None else getattr(self.op, "node_def", None)

    @property
    def line(self) -> str:
        """``file:line`` of the user's program, empty where it is not known."""
        return str(getattr(self.op, "origin", "") or "")

    def __str__(self) -> str:
        if self.op is None:
            return self.message
        made = f" defined at {self.line}" if self.line else ""
        return f"{self.message}\n\t [[node {self.op.name} (op: {self.op.type}){made}]]"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.message, self.error_code)


def _rebuilt(kind: type[OpError], message: str, code: int) -> OpError:
    error = kind(None, None, message)
    error.error_code = code
    return error


class CancelledError(OpError):
    """The operation was cancelled."""

    code = 1


class UnknownError(OpError):
    """An error without a better class."""

    code = 2


class InvalidArgumentError(OpError):
    """An operation was given something that it cannot take."""

    code = 3


class DeadlineExceededError(OpError):
    """Time ran out."""

    code = 4


class NotFoundError(OpError):
    """A file, a key or a resource does not exist."""

    code = 5


class AlreadyExistsError(OpError):
    """What was to be made is there already."""

    code = 6


class PermissionDeniedError(OpError):
    """The caller may not do this."""

    code = 7


class ResourceExhaustedError(OpError):
    """Out of memory or space."""

    code = 8


class FailedPreconditionError(OpError):
    """The state does not allow this yet: mostly a variable that was never initialized."""

    code = 9


class AbortedError(OpError):
    """The operation was aborted."""

    code = 10


class OutOfRangeError(OpError):
    """The end of the input was reached."""

    code = 11


class UnimplementedError(OpError):
    """The operation exists and cannot do this."""

    code = 12


class InternalError(OpError):
    """Something that must hold did not."""

    code = 13


class UnavailableError(OpError):
    """A service is not there at the moment."""

    code = 14


class DataLossError(OpError):
    """Data are damaged and cannot be read back."""

    code = 15


class UnauthenticatedError(OpError):
    """The caller is not known."""

    code = 16


_CLASSES = {kind.code: kind for kind in OpError.__subclasses__()}
for _kind in OpError.__subclasses__():
    _words = "".join(f"_{c}" if c.isupper() else c for c in _kind.__name__.removesuffix("Error"))
    globals()[_words.lstrip("_").upper()] = _kind.code
OK = 0


def exception_type_from_error_code(code: int) -> type[OpError]:
    """The class of a status code."""
    return _CLASSES[code]


def error_code_from_exception_type(kind: type[OpError]) -> int:
    """The status code of a class."""
    return kind.code


def __dir__() -> list[str]:
    return sorted(n for n in globals() if not n.startswith("_") and n != "Any")
