"""``# evenkeel: ignore[EK301, EK302]`` beside a layer's construction, or on a program's line."""

import inspect
import linecache
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from torch import nn

_MARK = re.compile(r"#\s*evenkeel:\s*ignore\[([^\]]*)\]")


def codes_in(line: str) -> tuple[str, ...]:
    """The codes that a comment names.

    >>> codes_in("self.bn = nn.BatchNorm1d(2)  # evenkeel: ignore[EK301, EK2]")
    ('EK301', 'EK2')
    """
    mark = _MARK.search(line)
    return tuple(code.strip() for code in mark[1].split(",") if code.strip()) if mark else ()


def ignored_at(model: nn.Module, path: str) -> tuple[str, ...]:
    """The codes to ignore for the layer at ``path``: on the line of its parent's class that sets it."""
    parent, _, name = path.rpartition(".")
    kind: Any = type(model.get_submodule(parent))
    lines = _marked(kind) if path else ()
    target = re.compile(rf"\bself\.{re.escape(name)}\b|[\"']{re.escape(name)}[\"']")
    return tuple(code for line in lines if target.search(line) for code in codes_in(line))


def ignored_on(places: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The codes to ignore by "file:line", of the files that some of these places are in."""
    files = {place.rpartition(":")[0] for place in places}
    linecache.checkcache()
    return {
        f"{file}:{number}": codes
        for file in sorted(files)
        for number, line in enumerate(linecache.getlines(file), 1)
        if (codes := codes_in(line))
    }


@cache
def _marked(kind: Any) -> tuple[str, ...]:
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        return ()
    return tuple(line for line in source.splitlines() if _MARK.search(line))
