"""``tf.logging``: messages through Python's logger named tensorflow."""

import importlib
from typing import Any

from evenkeel.tf1.catalogue import missing

_python: Any = importlib.import_module("logging")  # this file has its name
_logger = _python.getLogger("tensorflow")
DEBUG, INFO, WARN, ERROR, FATAL = 10, 20, 30, 40, 50
debug, info, error, fatal = _logger.debug, _logger.info, _logger.error, _logger.critical
warn = warning = _logger.warning
log = _logger.log
__all__ = [
    "DEBUG", "ERROR", "FATAL", "INFO", "WARN", "debug", "error", "fatal", "get_verbosity", "info",
    "log", "log_every_n", "log_first_n", "log_if", "set_verbosity", "vlog", "warn", "warning",
]  # fmt: skip
_counts: dict[str, int] = {}


def set_verbosity(v: int) -> None:
    """The least level that is written."""
    _logger.setLevel(v)


def get_verbosity() -> int:
    """The least level that is written."""
    return int(_logger.getEffectiveLevel())


def vlog(level: int, msg: str, *args: Any) -> None:
    """A message of a level of its own."""
    _logger.log(level, msg, *args)


def log_if(level: int, msg: str, condition: Any, *args: Any) -> None:
    """A message where a condition holds."""
    if condition:
        _logger.log(level, msg, *args)


def log_every_n(level: int, msg: str, n: int, *args: Any) -> None:
    """Every nth of these messages."""
    _counts[msg] = count = _counts.get(msg, -1) + 1
    log_if(level, msg, count % n == 0, *args)


def log_first_n(level: int, msg: str, n: int, *args: Any) -> None:
    """The first n of these messages."""
    _counts[msg] = count = _counts.get(msg, -1) + 1
    log_if(level, msg, count < n, *args)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.logging.{name}", __all__)
