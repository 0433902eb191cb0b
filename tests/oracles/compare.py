"""How far a result is from its reference, as one number; and the assertion about that number.

The measure is the largest absolute difference over the largest absolute reference, per array, in
float64. Everything that this number cannot express is a failure: another shape, another dtype, NaN
or infinity where the reference has none (or the other way round), nothing to compare.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = Tensor | NDArray[np.generic]


def max_error(
    got: Array, want: Array, *, dtype: torch.dtype | None = None, scale: float | None = None
) -> float:
    """Largest |got − want| over largest |want|; AssertionError where no number can say it.

    ``dtype`` is what ``got`` must have, by default the dtype of ``want``: give it when the reference
    is kept in float64. ``scale`` takes the place of the largest |want| where that is 0 by nature.

    >>> max_error(torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0]))
    0.25
    """
    mine, true = torch.as_tensor(got).detach().cpu(), torch.as_tensor(want).detach().cpu()
    if mine.dtype != (dtype or true.dtype):
        raise AssertionError(f"dtype {mine.dtype}, wanted {dtype or true.dtype}")
    if mine.shape != true.shape:
        raise AssertionError(f"shape {list(mine.shape)}, wanted {list(true.shape)}")
    if not true.numel():
        raise AssertionError("nothing to compare: the arrays are empty")
    mine, true = mine.double(), true.double()
    _check_same_non_finite(mine, true)
    finite = true.isfinite()
    if not finite.any():
        return 0.0
    difference = float((mine - true)[finite].abs().max())
    size = float(true[finite].abs().max()) if scale is None else scale
    return difference / size if size else (0.0 if difference == 0 else float("inf"))


def assert_close(
    got: Array,
    want: Array,
    budget: float,
    what: str,
    *,
    dtype: torch.dtype | None = None,
    scale: float | None = None,
) -> None:
    """Fail unless ``max_error(got, want)`` is within ``budget``; ``what`` names the array.

    >>> assert_close(torch.tensor([2.5]), torch.tensor([2.0]), 1e-5, "y")
    Traceback (most recent call last):
    AssertionError: y: error 2.5e-01 exceeds 1.0e-05
    """
    try:
        error = max_error(got, want, dtype=dtype, scale=scale)
    except AssertionError as failure:
        raise AssertionError(f"{what}: {failure}") from None
    if not error <= budget:
        raise AssertionError(f"{what}: error {error:.1e} exceeds {budget:.1e}")


def _check_same_non_finite(mine: Tensor, true: Tensor) -> None:
    """NaN and infinities must stand at the same places, the infinities with the same sign."""
    if not torch.equal(mine.isnan(), true.isnan()):
        raise AssertionError(f"{int(mine.isnan().sum())} NaN, wanted {int(true.isnan().sum())}")
    for sign in (float("inf"), -float("inf")):
        if not torch.equal(mine == sign, true == sign):
            raise AssertionError(f"{sign} at other places than in the reference")
