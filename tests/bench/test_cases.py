import pytest
import torch

from evenkeel.bench.cases import CASES, QUICK, cases_of
from evenkeel.bench.operations import OPERATIONS
from evenkeel.bench.problem import problem_of
from evenkeel.errors import UnknownName


def test_every_network_is_there_in_both_layouts() -> None:
    images = [case for case in CASES.values() if len(case.shape) == 4]
    assert {case.network for case in CASES.values()} == {
        "resnet50",
        "mobilenetv2",
        "conv20",
        "dense",
    }
    for case in images:
        assert {other.layout for other in images if other.shape == case.shape} == {"nchw", "nhwc"}


def test_a_case_lays_tensors_out() -> None:
    x = torch.randn(2, 3, 4, 5)
    last = CASES["conv20-64x4x28x28-nhwc"].laid_out(x)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert CASES["conv20-64x4x28x28-nchw"].laid_out(last).is_contiguous()


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_arrays_of_a_problem_lie_as_the_case_says(operation: str, dtype: torch.dtype) -> None:
    for layout, axes in (("nchw", torch.contiguous_format), ("nhwc", torch.channels_last)):
        case = CASES[f"conv20-64x36x4x4-{layout}"]
        problem = problem_of(case, OPERATIONS[operation], dtype)
        arrays = [problem.x, problem.dy]
        arrays += [] if problem.residual is None else [problem.residual]
        assert [array.is_contiguous(memory_format=axes) for array in arrays] == [True] * len(arrays)
        assert {array.dtype for array in arrays} == {dtype}


def test_the_filter() -> None:
    assert [case.name for case in cases_of("", quick=True)] == list(QUICK)
    assert len(cases_of("2048x7x7", quick=False)) == 2
    assert [c.name for c in cases_of("dense-1024", quick=True)] == ["dense-1024x1024-nc"]
    assert len(cases_of("", quick=False)) == len(CASES)
    with pytest.raises(UnknownName, match="no case"):
        cases_of("nonsense", quick=False)
