"""The reused-buffer calls against the float64 definition; the floor as so many copies."""

import pytest
import torch

from evenkeel.bench.cases import CASES
from evenkeel.bench.operations import OPERATIONS
from evenkeel.bench.options import Options
from evenkeel.bench.oracle import errors_of, reference
from evenkeel.bench.problem import problem_of
from evenkeel.bench.reused import Reused
from evenkeel.bench.sides import Lap
from evenkeel.bench.traffic import LARGE, row_of, traffic, with_floor
from evenkeel.errors import NoKernel, UnknownName
from evenkeel.kernels import library

native = pytest.mark.skipif(bool(library.why_missing()), reason=library.why_missing())


@native
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["conv20-64x36x4x4-nchw", "conv20-64x36x4x4-nhwc"])
def test_reused_buffers_give_the_definition(name: str, dtype: torch.dtype) -> None:
    problem = problem_of(CASES[name], OPERATIONS["bn_relu"], dtype)
    side = Reused(problem)
    for _ in range(2):  # buffers and running statistics are as they were before the first
        found = side.arrays()
        assert set(found) == set(reference(problem))
        worst = max(errors_of(found, reference(problem)).values())
        assert worst < (1e-5 if dtype == torch.float32 else 3e-2)
    addresses = {array.data_ptr() for array in (found["y"], found["dx"])}
    assert {array.data_ptr() for array in (side.arrays()["y"], side.arrays()["dx"])} == addresses


@native
def test_only_large_tensors() -> None:
    tasks = traffic(Options(threads=1)).tasks
    assert {case.network for case in tasks} == {"resnet50", "mobilenetv2"}
    assert all(case.values * 4 > LARGE for case in tasks)
    assert len(traffic(Options(threads=1, dtype="bfloat16")).tasks) < len(tasks)
    with pytest.raises(UnknownName, match="no case over 16 MB"):
        traffic(Options(threads=1, case="dense"))


@native
def test_a_row_has_the_floor_as_its_rival() -> None:
    row = row_of(CASES["dense-64x100-nc"], Options(threads=1, quick=True, seconds=1e-4))
    assert not row.refused
    assert set(row.sides) == {"evenkeel", "copy", "floor"}
    copy, floor = row.sides["copy"], row.sides["floor"]
    assert floor.ms == pytest.approx(4 * copy.ms)
    assert floor.forward_ratio is not None


def test_the_floor_is_four_copies() -> None:
    laps = with_floor({"evenkeel": [Lap(1.0)], "copy": [Lap(1.0), Lap(3.0)]})
    assert laps["floor"] == [Lap(4.0, 1.5, 2.5), Lap(12.0, 4.5, 7.5)]


def test_without_the_library_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "why_missing", lambda: "no compiler")
    with pytest.raises(NoKernel, match="no compiler"):
        traffic(Options(threads=1))
