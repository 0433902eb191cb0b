"""Names of operations and scopes: what is allowed, and how a taken name is numbered."""

import re

OP_NAME = re.compile(r"^[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*$")
SCOPE_NAME = re.compile(r"^[A-Za-z0-9_.\\/>-]*$")


class Names:
    """The names in use, compared without case, as TensorFlow does.

    >>> names = Names()
    >>> [names.unique("add") for _ in range(3)], names.unique("ADD")
    (['add', 'add_1', 'add_2'], 'ADD_3')
    """

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def unique(self, name: str, mark: bool = True) -> str:
        """``name``, or ``name_1``, ``name_2``, ... where it is taken."""
        key = base = name.lower()
        count = self._used.get(key, 0)
        if mark:
            self._used[key] = count + 1
        if count == 0:
            return name
        while key in self._used:
            key = f"{base}_{count}"
            count += 1
        if mark:
            self._used[key] = 1
        return f"{name}_{count - 1}"

    def take(self, name: str) -> None:
        """Note a name that came with a graph, without the scopes around it."""
        self._used.setdefault(name.lower(), 1)


def from_scope(name: str) -> str:
    """The name of a scope without the slash at its end."""
    return name.removesuffix("/")


_DEVICE = re.compile(r"/(job|replica|task|device|cpu|gpu|CPU|GPU|TPU|tpu):([^/:]+)(?::(\d+|\*))?")


def merge_device(outer: str, inner: str) -> str:
    """The parts of ``inner``, and those of ``outer`` that it leaves open, in canonical form.

    >>> merge_device("/job:ps/cpu:0", "/gpu:1")
    '/job:ps/device:GPU:1'
    """
    parts = _device_parts(outer) | _device_parts(inner)
    return "".join(f"/{k}:{parts[k]}" for k in ("job", "replica", "task", "device") if k in parts)


def _device_parts(text: str) -> dict[str, str]:
    parts = {}
    for kind, value, index in _DEVICE.findall(text):
        if kind in ("job", "replica", "task"):
            parts[kind] = value
        elif kind == "device":
            parts["device"] = f"{value.upper()}:{index or '*'}"
        else:
            parts["device"] = f"{kind.upper()}:{value}"
    if text and not parts:
        raise ValueError(f"Invalid device specification: '{text}'")
    return parts
