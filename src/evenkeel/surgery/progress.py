"""How far a pass through the batches is, on a terminal; elsewhere nothing."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any


def followed(batches: Iterable[Any], shown: bool) -> Iterator[Any]:
    """The batches, with a bar on standard error while they pass, if that is a terminal.

    >>> list(followed([1, 2], True))
    [1, 2]
    """
    if not shown or not sys.stderr.isatty():
        yield from batches
        return
    from rich.console import Console  # heavy, and wanted on a terminal only
    from rich.progress import track

    yield from track(batches, "batches", console=Console(stderr=True), transient=True)
