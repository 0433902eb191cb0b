"""Names that NumPy had in TensorFlow 1's days and has no more, for the program under run alone."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from evenkeel.tf1.program.libraries import is_program
from evenkeel.tf1.program.notices import notice

# NumPy 1.20 deprecated, 1.24 removed the first eight; 2.0 and later removed the others.
_NAMES: dict[str, Callable[[], Any]] = {
    "bool": lambda: bool,
    "int": lambda: int,
    "float": lambda: float,
    "complex": lambda: complex,
    "object": lambda: object,
    "str": lambda: str,
    "long": lambda: int,
    "unicode": lambda: str,
    "bool8": lambda: np.bool_,
    "float_": lambda: np.float64,
    "complex_": lambda: np.complex128,
    "cfloat": lambda: np.complex128,
    "singlecomplex": lambda: np.complex64,
    "string_": lambda: np.bytes_,
    "unicode_": lambda: np.str_,
    "Inf": lambda: np.inf,
    "Infinity": lambda: np.inf,
    "infty": lambda: np.inf,
    "PINF": lambda: np.inf,
    "NINF": lambda: -np.inf,
    "NaN": lambda: np.nan,
    "NAN": lambda: np.nan,
    "PZERO": lambda: 0.0,
    "NZERO": lambda: -0.0,
    "alltrue": lambda: np.all,
    "sometrue": lambda: np.any,
    "product": lambda: np.prod,
    "cumproduct": lambda: np.cumprod,
    "asscalar": lambda: lambda a: a.item(),
    "asfarray": lambda: lambda a, dtype=np.float64: np.asarray(a, dtype),
    "in1d": lambda: np.isin,
    "msort": lambda: lambda a: np.sort(a, axis=0),
    "rank": lambda: np.ndim,
    "round_": lambda: np.round,
    "row_stack": lambda: np.vstack,
    "trapz": lambda: np.trapezoid,
}


@contextmanager
def old_names() -> Iterator[None]:
    """Inside, a program that asks NumPy for one of these names gets it, with one notice.

    Libraries that ask get NumPy's own answer.
    """
    own = vars(np)["__getattr__"]

    def look_up(name: str) -> Any:
        frame = sys._getframe(1)
        file = frame.f_code.co_filename
        if name not in _NAMES or not is_program(file):
            return own(name)
        try:
            with warnings.catch_warnings():
                # NumPy says of some of these names what they may mean one day.
                warnings.simplefilter("ignore", FutureWarning)
                return own(name)
        except AttributeError:
            line = f"{Path(file).name}:{frame.f_lineno}"
            notice("numpy", f"{line}: np.{name} is gone from NumPy; provided for this run")
            return _NAMES[name]()

    vars(np)["__getattr__"] = look_up
    try:
        yield
    finally:
        vars(np)["__getattr__"] = own
