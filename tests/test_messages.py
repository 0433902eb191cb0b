"""Values told to all processes: they arrive as they were, and no collective that pickles is called."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import evenkeel
from evenkeel.functional import Moments
from evenkeel.messages import told

PACKAGE = Path(evenkeel.__file__).parent


def test_plain_values_arrive_as_they_were() -> None:
    mine = {"a": [1, -0.1, None, True, "é\n"], "inf": [float("inf"), 1e-320, 2**70]}
    assert told(mine) == [mine]
    assert told(Moments(torch.ones(1), torch.ones(1), 3))[0][2] == 3


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.bool]
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (3, 2)])
def test_tensors_arrive_bit_for_bit(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = (torch.randn(shape, dtype=torch.float64) * 3).to(dtype)
    tensor = tensor.mT if len(shape) > 1 else tensor  # not contiguous
    ((got,),) = told([tensor])
    assert got.dtype == dtype
    assert torch.equal(got, tensor)


def test_a_nan_keeps_its_bits() -> None:
    tensor = torch.tensor([0x7FC01234, -1], dtype=torch.int32).view(torch.float32)
    assert torch.equal(told(tensor)[0].view(torch.int32), tensor.view(torch.int32))


def test_what_is_not_plain_is_refused() -> None:
    strange: Any = Path()
    with pytest.raises(TypeError, match="no plain value"):
        told([strange])


def test_no_collective_that_pickles_is_called() -> None:
    pickling = re.compile(r"(all_gather|gather|broadcast|scatter|send|recv)_object")
    found = [path for path in PACKAGE.rglob("*.py") if pickling.search(path.read_text())]
    assert not found
