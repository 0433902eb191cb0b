"""The one registry class: a decorator that returns its row, refuses duplicates, suggests neighbours."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import TypeVar

from evenkeel.errors import DuplicateRow, UnknownName

Row = TypeVar("Row")


class Table(Mapping[str, Row]):
    """Rows by name, in the order in which they were added.

    Raises:  DuplicateRow for a second row under a name; UnknownName for a name without a row

    >>> shapes = Table[int]("shape")
    >>> shapes.add("square")(4)
    4
    >>> shapes["sqare"]
    Traceback (most recent call last):
    evenkeel.errors.UnknownName: no shape is called 'sqare'
      got: 'sqare'; known: square
      do:  try square
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._rows: dict[str, Row] = {}

    def add(self, *names: str) -> Callable[[Row], Row]:
        """Keep a row under each name; the row itself comes back, so that this can decorate."""

        def keep(row: Row) -> Row:
            for name in names:
                if name in self._rows:
                    raise DuplicateRow(
                        f"two rows for the {self.kind} {name!r}", got=row, do="remove one of them"
                    )
            self._rows.update(dict.fromkeys(names, row))
            return row

        return keep

    def __getitem__(self, name: str) -> Row:
        if name in self:
            return self._rows[name]
        near = get_close_matches(str(name), self._rows, n=3, cutoff=0.5) or list(self._rows)
        raise UnknownName(
            f"no {self.kind} is called {name!r}",
            got=f"{name!r}; known: {', '.join(self._rows)}",
            do=f"try {' or '.join(near)}",
        )

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
