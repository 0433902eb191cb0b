"""What a benchmark is asked for, checked when it is built."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeVar

import torch

from evenkeel.errors import BadOption

Item = TypeVar("Item")
Progress = Callable[[str, Sequence[Any]], Iterable[Any]]  # items of any kind pass through

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SECONDS, QUICK_SECONDS = 0.4, 0.01
ROUNDS, QUICK_ROUNDS = 2000, 5


def silent(_: str, items: Sequence[Any]) -> Iterable[Any]:
    """Show no progress."""
    return items


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line's values.

    ``case``: part of a case's name, "" for all. ``seconds``: how long a row is timed, all its sides
    together; a few rounds at the least. ``rivals``: names with commas between, None for all that are
    installed.

    Raises:  BadOption
    """

    threads: int
    case: str = ""
    dtype: str = "float32"
    rivals: str | None = None
    seconds: float = SECONDS
    quick: bool = False
    progress: Progress = field(default=silent, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise BadOption("threads must be at least 1", got=self.threads, do="give --threads 2")
        if self.dtype not in DTYPES:
            raise BadOption(
                f"dtype must be {' or '.join(DTYPES)}",
                got=repr(self.dtype),
                do="give --dtype float32",
            )
        if not (isfinite(self.seconds) and self.seconds > 0):
            raise BadOption(
                "seconds must be a finite number above 0", got=self.seconds, do="give --seconds 0.4"
            )

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of x."""
        return DTYPES[self.dtype]

    @property
    def rounds(self) -> int:
        """The most rounds of a row."""
        return QUICK_ROUNDS if self.quick else ROUNDS

    def told(self) -> dict[str, Any]:  # the values are of several types
        """The values as the JSON file keeps them."""
        names = ("threads", "case", "dtype", "rivals", "seconds", "quick")
        return {name: getattr(self, name) for name in names}
