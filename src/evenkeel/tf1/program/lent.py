"""Names that libraries dropped, shown again to the files that may ask, and to nobody else."""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.abc import MetaPathFinder
from types import FrameType, ModuleType
from typing import Any


@contextmanager
def lent(
    module: ModuleType,
    names: Mapping[str, Callable[[], Any]],
    to: Callable[[str], bool],
    tell: Callable[[FrameType, str], None] | None = None,
) -> Iterator[None]:
    """Inside, code of a file that ``to`` allows finds these names in ``module``.

    ``tell`` is called with the asking frame and the name, where the library has the name no more.
    """
    own = vars(module).get("__getattr__")

    def plain(name: str) -> Any:
        if own is None:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return own(name)

    def look_up(name: str) -> Any:
        frame = sys._getframe(1)
        if name not in names or not to(frame.f_code.co_filename):
            return plain(name)
        try:
            with warnings.catch_warnings():
                # NumPy says of some of these names what they may mean one day.
                warnings.simplefilter("ignore", FutureWarning)
                return plain(name)
        except AttributeError:
            if tell is not None:
                tell(frame, name)
            return names[name]()

    vars(module)["__getattr__"] = look_up
    try:
        yield
    finally:
        del vars(module)["__getattr__"]
        if own is not None:
            vars(module)["__getattr__"] = own


@contextmanager
def asked_first(finder: Callable[[ExitStack], MetaPathFinder]) -> Iterator[None]:
    """Inside, every import asks this finder first; what it puts on its stack is undone at the end."""
    with ExitStack() as stack:
        first = finder(stack)
        sys.meta_path.insert(0, first)
        try:
            yield
        finally:
            sys.meta_path.remove(first)
