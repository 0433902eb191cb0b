"""``tf.flags``: the options of a program's command line, read as absl reads them."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from evenkeel.tf1.catalogue import missing

__all__ = [
    "FLAGS", "DEFINE_bool", "DEFINE_boolean", "DEFINE_enum", "DEFINE_float", "DEFINE_integer",
    "DEFINE_list", "DEFINE_multi_enum", "DEFINE_multi_float", "DEFINE_multi_integer",
    "DEFINE_multi_string", "DEFINE_spaceseplist", "DEFINE_string", "DuplicateFlagError", "Error",
    "FlagValues", "IllegalFlagValueError", "UnparsedFlagAccessError", "UnrecognizedFlagError",
    "ValidationError", "flag_dict_to_args", "mark_flag_as_required", "mark_flags_as_required",
    "register_validator", "validator",
]  # fmt: skip


class Error(Exception):
    """What is wrong with an option or a command line."""


class DuplicateFlagError(Error):
    """An option was defined twice."""


class IllegalFlagValueError(Error):
    """An option cannot have this value."""


class ValidationError(Error):
    """A check of a program refused a value."""


class UnrecognizedFlagError(Error):
    """The command line has an option that was not defined."""

    def __init__(self, flagname: str, flagvalue: str = "", suggestions: Any = None) -> None:
        from difflib import get_close_matches

        near = get_close_matches(flagname, list(suggestions or ()), n=3, cutoff=0.6)
        hint = f". Did you mean: {', '.join(near)} ?" if near else ""
        super().__init__(f"Unknown command line flag '{flagname}'{hint}")
        self.flagname, self.flagvalue = flagname, flagvalue


class UnparsedFlagAccessError(Error):
    """An option was read before the command line was."""


@dataclass
class Flag:
    """One option: how its text is read, and what it holds."""

    name: str
    default: Any
    help: str
    read: Callable[[Any], Any]
    short_name: str | None = None
    is_boolean: bool = False
    is_many: bool = False
    value: Any = None
    present: int = 0

    def __post_init__(self) -> None:
        self.default = None if self.default is None else self._checked(self.default)
        self.value = self.default

    def _checked(self, given: Any) -> Any:
        try:
            if self.is_many:
                listed = given if isinstance(given, list | tuple) else [given]
                return [self.read(one) for one in listed]
            return self.read(given)
        except (TypeError, ValueError) as error:
            raise IllegalFlagValueError(f"flag --{self.name}={given}: {error}") from None

    def parse(self, text: str) -> None:
        """Take a value from the command line; an option of many values takes one more."""
        found = self._checked(text)
        self.value = self.value + found if self.is_many and self.present else found
        self.present += 1


class FlagValues:
    """The options of a program by name; the command line is read when one is first asked for."""

    def __init__(self) -> None:
        self.__dict__.update(
            _flags={}, _aliases={}, _parsed=False, _checks=[], _help=False, _exit=sys.exit
        )

    # ---- definition

    def _add(self, flag: Flag) -> None:
        for name in (flag.name, flag.short_name):
            if name is not None and name in self._names():
                raise DuplicateFlagError(
                    f"The flag '{name}' is defined twice. Description from first occurrence: "
                    f"{self._find(name).help}"
                )
        self._flags[flag.name] = flag
        if flag.short_name:
            self._aliases[flag.short_name] = flag.name

    def _names(self) -> list[str]:
        return [*self._flags, *self._aliases]

    def _find(self, name: str) -> Flag:
        found: Flag = self._flags[self._aliases.get(name, name)]
        return found

    def _check(self, names: list[str], check: Callable[[dict[str, Any]], Any], words: str) -> None:
        self._checks.append((names, check, words))

    # ---- the command line

    def __call__(self, argv: Any, known_only: bool = False) -> list[str]:
        """Read a command line; what is left of it. ``known_only`` leaves unknown options there."""
        if isinstance(argv, str | bytes):
            raise TypeError("argv should be a tuple/list of strings, not bytes or string.")
        if not argv:
            raise ValueError("argv cannot be an empty list, and must contain the program name.")
        words, rest = list(argv[1:]), [argv[0]]
        while words:
            word = words.pop(0)
            if word == "--":
                rest += words
                break
            if word.startswith("-") and len(word) > 1:
                self._option(word, words, rest, known_only)
            else:
                rest.append(word)
        self.__dict__["_parsed"] = True
        self._validate()
        return rest

    def _option(self, word: str, words: list[str], rest: list[str], known_only: bool) -> None:
        name, equals, text = word.lstrip("-").partition("=")
        if name in ("help", "helpfull", "helpshort", "h", "?") and name not in self._names():
            self.__dict__["_help"] = True
        elif name in self._names():
            self._set_from(self._find(name), text if equals else None, words)
        elif (
            name.startswith("no") and name[2:] in self._names() and self._find(name[2:]).is_boolean
        ):
            if equals:
                raise IllegalFlagValueError(f"--{name} does not take an argument")
            self._find(name[2:]).parse("false")
        elif known_only:
            rest.append(word)
        else:
            raise UnrecognizedFlagError(name, word, self._names())

    @staticmethod
    def _set_from(flag: Flag, text: str | None, words: list[str]) -> None:
        if text is None and flag.is_boolean:
            text = "true"
        if text is None:
            if not words:
                raise Error(f"Missing value for flag --{flag.name}")
            text = words.pop(0)
        flag.parse(text)

    def _validate(self) -> None:
        for names, check, words in self._checks:
            values = {name: self._find(name).value for name in names}
            if not check(values):
                raise IllegalFlagValueError(f"flag --{names[0]}={values[names[0]]}: {words}")

    def is_parsed(self) -> bool:
        """Whether a command line was read."""
        return bool(self._parsed)

    def mark_as_parsed(self) -> None:
        """Let options be read without a command line."""
        self.__dict__["_parsed"] = True

    def unparse_flags(self) -> None:
        """Read the command line again when an option is asked for."""
        self.__dict__["_parsed"] = False

    # ---- values

    def __getattr__(self, name: str) -> Any:
        if name not in self._names():
            raise AttributeError(f"Unknown command line flag {name!r}")
        if not self._parsed:
            self(sys.argv)
        return self._find(name).value

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._names():
            raise AttributeError(f"Unknown command line flag {name!r}")
        self._find(name).value = value

    def __delattr__(self, name: str) -> None:
        flag = self._find(name)
        del self._flags[flag.name]
        for short in [s for s, long in self._aliases.items() if long == flag.name]:
            del self._aliases[short]
        self.__dict__["_checks"] = [c for c in self._checks if flag.name not in c[0]]

    def __contains__(self, name: str) -> bool:
        return name in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._flags)

    def __len__(self) -> int:
        return len(self._flags)

    def __dir__(self) -> list[str]:
        return sorted(self._names())

    def __getitem__(self, name: str) -> Flag:
        return self._find(name)

    def flag_values_dict(self) -> dict[str, Any]:
        """Every value by its name."""
        return {name: flag.value for name, flag in self._flags.items()}

    def get_help(self) -> str:
        """What every option is for."""
        rows = []
        for name, flag in sorted(self._flags.items()):
            shown = f"[no]{name}" if flag.is_boolean else name
            short = f"-{flag.short_name}," if flag.short_name else ""
            rows.append(f"  {short}--{shown}: {flag.help}\n    (default: {flag.default!r})")
        return "\n".join(rows)


FLAGS = FlagValues()


# ---- how texts are read


def _truth(given: Any) -> bool:
    if isinstance(given, str):
        if given.lower() in ("true", "t", "1"):
            return True
        if given.lower() in ("false", "f", "0"):
            return False
    elif given in (0, 1):
        return bool(given)
    raise ValueError("Non-boolean argument to boolean flag")


def _whole(given: Any) -> int:
    if isinstance(given, str):
        text = given.strip()
        return int(text, 16 if text.lower().lstrip("-").startswith("0x") else 10)
    if isinstance(given, bool) or int(given) != given:
        raise TypeError(f"Expect argument to be an integer, found {given!r}")
    return int(given)


def _number(given: Any) -> float:
    if not isinstance(given, str | int | float):
        raise TypeError(f"Expect argument to be a number, found {type(given)}")
    return float(given)


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"flag value must be a string, found {given!r}")
    return given


def _one_of(words: Any) -> Callable[[Any], str]:
    allowed = list(words)
    if not allowed:
        raise ValueError("enum_values cannot be empty.")

    def read(given: Any) -> str:
        if given not in allowed:
            raise ValueError(f"value should be one of <{'|'.join(map(str, allowed))}>")
        return str(given)

    return read


def _commas(given: Any) -> list[str]:
    if isinstance(given, list | tuple):
        return list(given)
    return [part.strip() for part in given.split(",")] if given else []


def _spaces(given: Any) -> list[str]:
    return list(given) if isinstance(given, list | tuple) else given.split()


# ---- the functions that define options


def _definer(
    read: Callable[[Any], Any], what: str, boolean: bool = False, many: bool = False
) -> Callable[..., None]:
    def define(
        name: Any = None, default: Any = None, help: Any = "", flag_values: FlagValues = FLAGS,
        short_name: str | None = None, required: bool = False, *, flag_name: Any = None,
        default_value: Any = None, docstring: Any = None,
    ) -> None:  # fmt: skip
        chosen = (
            name if flag_name is None else flag_name
        )  # the names that TensorFlow had before 1.5
        start = default if default_value is None else default_value
        text = (help if docstring is None else docstring) or ""
        flag_values._add(Flag(chosen, start, text, read, short_name, boolean, many))
        if required:
            mark_flag_as_required(chosen, flag_values)

    define.__doc__ = f"An option that is {what}."
    return define


DEFINE_string = _definer(_text, "text")
DEFINE_integer = _definer(_whole, "a whole number")
DEFINE_float = _definer(_number, "a number")
DEFINE_bool = DEFINE_boolean = _definer(_truth, "on or off", boolean=True)
DEFINE_list = _definer(_commas, "a list, with commas")
DEFINE_spaceseplist = _definer(_spaces, "a list, with spaces")
DEFINE_multi_string = _definer(_text, "given several times: texts", many=True)
DEFINE_multi_integer = _definer(_whole, "given several times: whole numbers", many=True)
DEFINE_multi_float = _definer(_number, "given several times: numbers", many=True)


def DEFINE_enum(  # noqa: N802  # TensorFlow's name
    name: str, default: Any, enum_values: Any, help: Any = "", flag_values: FlagValues = FLAGS,
    **named: Any,
) -> None:  # fmt: skip
    """An option that is one of some words."""
    _definer(_one_of(enum_values), "a word")(name, default, help, flag_values, **named)


def DEFINE_multi_enum(  # noqa: N802  # TensorFlow's name
    name: str, default: Any, enum_values: Any, help: Any = "", flag_values: FlagValues = FLAGS,
    **named: Any,
) -> None:  # fmt: skip
    """An option given several times: some words."""
    read = _one_of(enum_values)
    _definer(read, "words", many=True)(name, default, help, flag_values, **named)


def mark_flag_as_required(flag_name: str, flag_values: FlagValues = FLAGS) -> None:
    """The command line must give this option."""
    register_validator(
        flag_name, lambda value: value is not None,
        f"Flag --{flag_name} must have a value other than None.", flag_values,
    )  # fmt: skip


def mark_flags_as_required(flag_names: Any, flag_values: FlagValues = FLAGS) -> None:
    """The command line must give these options."""
    for name in flag_names:
        mark_flag_as_required(name, flag_values)


def register_validator(
    flag_name: str, checker: Callable[[Any], Any], message: str = "Flag validation failed",
    flag_values: FlagValues = FLAGS,
) -> None:  # fmt: skip
    """Refuse values that ``checker`` finds wrong, when the command line is read."""
    flag_values._check([flag_name], lambda values: checker(values[flag_name]), message)


def validator(
    flag_name: str, message: str = "Flag validation failed", flag_values: FlagValues = FLAGS
) -> Callable[[Any], Any]:
    """``register_validator`` as a decorator."""

    def decorate(checker: Callable[[Any], Any]) -> Callable[[Any], Any]:
        register_validator(flag_name, checker, message, flag_values)
        return checker

    return decorate


def flag_dict_to_args(flag_map: dict[str, Any]) -> Iterator[str]:
    """Values by name, as a command line has them."""
    for name, value in flag_map.items():
        if isinstance(value, bool):
            yield f"--{name}" if value else f"--no{name}"
        elif value is None:
            yield f"--{name}"
        else:
            many = isinstance(value, list | tuple)
            yield f"--{name}={','.join(map(str, value)) if many else value}"


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.flags.{name}", __all__)
