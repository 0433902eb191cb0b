"""``tf.logging``: messages through Python's logger named tensorflow."""

import importlib
import sys
from typing import Any

from evenkeel.tf1.catalogue import missing

_python: Any = importlib.import_module("logging")  # this file has its name
DEBUG, INFO, WARN, ERROR, FATAL = 10, 20, 30, 40, 50
__all__ = [
    "DEBUG", "ERROR", "FATAL", "INFO", "WARN", "TaskLevelStatusMessage", "debug", "error", "fatal",
    "flush", "get_verbosity", "info", "log", "log_every_n", "log_first_n", "log_if",
    "set_verbosity", "vlog", "warn", "warning",
]  # fmt: skip
_counts: dict[tuple[str, int], int] = {}  # by the line that asks


class _OnStandardError(_python.StreamHandler):  # type: ignore[misc]  # the module comes by name
    """Writes to what ``sys.stderr`` is at the time."""

    def __init__(self) -> None:
        _python.Handler.__init__(self)
        self.setFormatter(_python.Formatter(_python.BASIC_FORMAT))

    @property
    def stream(self) -> Any:
        """Where messages go."""
        return sys.stderr


def _tensorflow() -> Any:
    """The logger; it writes by itself unless the program set logging up before."""
    logger = _python.getLogger("tensorflow")
    if not logger.handlers and not _python.getLogger().handlers:
        logger.addHandler(_OnStandardError())
    return logger


_logger = _tensorflow()
debug, info, error, fatal = _logger.debug, _logger.info, _logger.error, _logger.critical
warn = warning = _logger.warning
log = _logger.log


def set_verbosity(v: int) -> None:
    """The least level that is written."""
    _logger.setLevel(v)


def get_verbosity() -> int:
    """The least level that is written."""
    return int(_logger.getEffectiveLevel())


def vlog(level: int, msg: str, *args: Any) -> None:
    """A message of a level of its own."""
    _logger.log(level, msg, *args)


def TaskLevelStatusMessage(msg: str) -> None:  # noqa: N802  # TensorFlow's name
    """An error message."""
    _logger.error(msg)


def flush() -> None:
    """Bring every message to where it goes."""
    for handler in _logger.handlers:
        handler.flush()


def log_if(level: int, msg: str, condition: Any, *args: Any) -> None:
    """A message where a condition holds."""
    if condition:
        _logger.log(level, msg, *args)


def _times_before() -> int:
    """How often the line that asks came here before."""
    caller = sys._getframe(2)
    line = (caller.f_code.co_filename, caller.f_lineno)
    _counts[line] = count = _counts.get(line, -1) + 1
    return count


def log_every_n(level: int, msg: str, n: int, *args: Any) -> None:
    """Every nth message of this line of the program."""
    log_if(level, msg, _times_before() % n == 0, *args)


def log_first_n(level: int, msg: str, n: int, *args: Any) -> None:
    """The first n messages of this line of the program."""
    log_if(level, msg, _times_before() < n, *args)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.logging.{name}", __all__)
