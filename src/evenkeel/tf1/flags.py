"""``tf.flags``: the options of a program's command line."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from evenkeel.tf1.catalogue import missing

__all__ = [
    "FLAGS",
    "DEFINE_bool",
    "DEFINE_boolean",
    "DEFINE_enum",
    "DEFINE_float",
    "DEFINE_integer",
    "DEFINE_list",
    "DEFINE_string",
]  # fmt: skip


def _truth(text: str) -> bool:
    if text.lower() in ("true", "t", "1", "yes", "y"):
        return True
    if text.lower() in ("false", "f", "0", "no", "n"):
        return False
    raise argparse.ArgumentTypeError(f"a boolean is wanted, got {text}")


class Flags:
    """Values by name: read from the command line when one is first asked for."""

    def __init__(self) -> None:
        self.__dict__["_parser"] = argparse.ArgumentParser(allow_abbrev=False)
        self.__dict__["_values"] = {}
        self.__dict__["_parsed"] = False

    def _define(
        self, name: str, default: Any, text: str | None, read: Callable[[str], Any]
    ) -> None:
        if name in self._values:
            return
        names = [f"--{name}", f"-{name}"]
        self._parser.add_argument(*names, dest=name, default=default, type=read, help=text)
        if read is _truth:
            self._parser.add_argument(
                f"--no{name}", dest=name, action="store_false", default=default
            )
        self._values[name] = default
        self.__dict__["_parsed"] = False

    def __call__(self, argv: list[str]) -> list[str]:
        """Read a command line; what is left of it."""
        found, rest = self._parser.parse_known_args(_spelled(self, argv[1:]))
        self._values.update(vars(found))
        self.__dict__["_parsed"] = True
        return [*argv[:1], *rest]

    def _is_boolean(self, name: str) -> bool:
        return any(a.dest == name and a.type is _truth for a in self._parser._actions)

    def __getattr__(self, name: str) -> Any:
        if name not in self._values:
            raise AttributeError(f"Unknown command line flag {name!r}")
        if not self._parsed:
            self(sys.argv)
        return self._values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def flag_values_dict(self) -> dict[str, Any]:
        """Every value by its name."""
        return dict(self._values)


def _spelled(flags: Flags, words: list[str]) -> list[str]:
    """A switch alone means that it is on."""
    return [f"{w}=true" if flags._is_boolean(w.lstrip("-")) and w[:1] == "-" else w for w in words]


FLAGS = Flags()


def DEFINE_string(flag_name: str, default_value: Any, docstring: Any = None) -> None:  # noqa: N802
    """An option that is text."""
    FLAGS._define(flag_name, default_value, docstring, str)


def DEFINE_integer(flag_name: str, default_value: Any, docstring: Any = None) -> None:  # noqa: N802
    """An option that is a whole number."""
    FLAGS._define(flag_name, default_value, docstring, int)


def DEFINE_float(flag_name: str, default_value: Any, docstring: Any = None) -> None:  # noqa: N802
    """An option that is a number."""
    FLAGS._define(flag_name, default_value, docstring, float)


def DEFINE_boolean(flag_name: str, default_value: Any, docstring: Any = None) -> None:  # noqa: N802
    """An option that is on or off."""
    FLAGS._define(flag_name, default_value, docstring, _truth)


def DEFINE_list(flag_name: str, default_value: Any, docstring: Any = None) -> None:  # noqa: N802
    """An option that is a list, with commas."""
    FLAGS._define(flag_name, default_value, docstring, lambda text: text.split(","))


def DEFINE_enum(  # noqa: N802
    flag_name: str, default_value: Any, enum_values: Any, docstring: Any = None
) -> None:
    """An option that is one of these words."""
    FLAGS._define(flag_name, default_value, docstring, str)


DEFINE_bool = DEFINE_boolean


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.flags.{name}", __all__)
