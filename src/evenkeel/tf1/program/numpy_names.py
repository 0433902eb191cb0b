"""Names that NumPy had in TensorFlow 1's days and has no more, for the program under run alone."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from evenkeel.tf1.program.lent import lent
from evenkeel.tf1.program.libraries import is_program
from evenkeel.tf1.program.notices import notice

# NumPy 1.20 deprecated, 1.24 removed the first eight; 2.0 and later removed the others.
NAMES: dict[str, Callable[[], Any]] = {
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


def old_names() -> AbstractContextManager[None]:
    """Inside, a program that asks NumPy for one of these names gets it, with one notice.

    Libraries that ask get NumPy's own answer.
    """
    return lent(np, NAMES, is_program, _told)


def _told(frame: FrameType, name: str) -> None:
    line = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
    notice("numpy", f"{line}: np.{name} is gone from NumPy; provided for this run")


def old_look() -> AbstractContextManager[Any]:
    """Inside, a number of NumPy's in a list is printed as 0.5, as before NumPy 2."""
    if int(np.__version__.partition(".")[0]) < 2:
        return nullcontext()
    return np.printoptions(legacy="1.25")
