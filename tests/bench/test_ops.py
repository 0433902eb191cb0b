from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from evenkeel.bench import ops
from evenkeel.bench.cases import CASES
from evenkeel.bench.operations import OPERATIONS
from evenkeel.bench.options import Options
from evenkeel.bench.problem import Problem, problem_of
from evenkeel.bench.rivals import RIVALS, Rival
from evenkeel.bench.sides import Side
from evenkeel.bench.summary import summarize

Make = Callable[[Callable[[Tensor], Tensor]], Rival]


def test_a_rival_with_a_wrong_result_is_refused(
    problem: Problem, quick: Options, rival: Make
) -> None:
    rivals = {"right": rival(lambda a: a), "wrong": rival(lambda a: a * 1.001)}
    row = ops.measure(problem, rivals, quick)
    assert list(row.refused) == ["wrong"]
    assert row.refused["wrong"].startswith("y differs from the float64 definition by 1.0e-03")
    assert set(row.sides) == {"evenkeel", "right", "copy", "empty call"}


def test_nothing_is_timed_when_we_are_wrong(
    problem: Problem, quick: Options, rival: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = rival(torch.zeros_like)
    monkeypatch.setattr(ops, "evenkeel_side", wrong.build)
    row = ops.measure(problem, {"right": rival(lambda a: a)}, quick)
    assert list(row.refused) == ["evenkeel"]
    assert (row.sides, row.rounds) == ({}, 0)


def test_a_rival_that_cannot_be_built_is_refused(problem: Problem, quick: Options) -> None:
    def broken(_: Problem) -> Side:
        raise RuntimeError("no compiler\nat all")

    row = ops.measure(problem, {"broken": Rival("", broken, lambda: "")}, quick)
    assert row.refused == {"broken": "it cannot be built: no compiler"}


def test_figures_of_a_row(problem: Problem, quick: Options, rival: Make) -> None:
    row = ops.measure(problem, {"told": rival(lambda a: a)}, quick)
    ours, told, copy = (row.sides[name] for name in ("evenkeel", "told", "copy"))
    assert (told.ms, told.forward_ms, told.forward_ratio) == (1e3, None, None)
    size = problem.x.numel() * 4
    assert told.gb_per_s == pytest.approx(8 * size / 1e9)
    assert copy.share == pytest.approx(1.0)
    assert copy.ratio is None
    assert ours.ratio is None
    assert told.ratio is not None
    assert told.ratio.median > 1
    assert ours.share == pytest.approx(4 * copy.ms / ours.ms)
    assert ours.forward_ms is not None
    assert ours.forward_copies == pytest.approx(ours.forward_ms / copy.ms)
    assert set(ours.errors) == {"y", "dx", "dweight", "dbias", "running_mean", "running_var"}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_limit_is_an_empty_call_and_the_least_traffic(operation: str, quick: Options) -> None:
    problem = problem_of(CASES["dense-64x100-nc"], OPERATIONS[operation], torch.float32)
    row = ops.measure(problem, {"torch": RIVALS["torch"]}, quick)
    moved = problem.operation.forward_passes + problem.operation.backward_passes
    limit = row.sides["empty call"].ms + moved / 2 * row.sides["copy"].ms
    for claim in summarize([row]):
        assert claim.reachable == pytest.approx(row.sides[claim.rival].ms / limit)
    assert row.sides["empty call"].gb_per_s == 0


@pytest.mark.parametrize("operation", OPERATIONS)
def test_bfloat16_is_measured_beside_float32(operation: str, quick: Options) -> None:
    problem = problem_of(CASES["dense-64x100-nc"], OPERATIONS[operation], torch.bfloat16)
    rivals = {name: RIVALS[name] for name in ("torch", "float32")}
    row = ops.measure(problem, rivals, quick)
    assert not row.refused
    beside = {"multiply-add"} if problem.operation.in_place else {"torch"}
    assert (row.dtype, {"float32"} | beside <= set(row.sides)) == ("bfloat16", True)


def test_float32_is_no_rival_of_itself(problem: Problem, quick: Options) -> None:
    assert "float32" not in ops.measure(problem, {"float32": RIVALS["float32"]}, quick).sides


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # raised inside inductor
def test_torch_compile_agrees(quick: Options) -> None:
    row = ops.measure(
        problem_of(CASES["conv20-64x36x4x4-nhwc"], OPERATIONS["bn_add_relu"], torch.float32),
        {"compile": RIVALS["compile"]},
        quick,
    )
    assert not row.refused
    assert "compile" in row.sides


@pytest.mark.parametrize("name", ["jax", "tensorflow"])
def test_xla_agrees(name: str, problem: Problem, quick: Options) -> None:
    if RIVALS[name].missing():
        pytest.skip(RIVALS[name].missing())
    assert not ops.measure(problem, {name: RIVALS[name]}, quick).refused


def test_a_summary_is_a_geometric_mean_and_names_losing_rows(
    problem: Problem, quick: Options, rival: Make
) -> None:
    row = ops.measure(problem, {"told": rival(lambda a: a)}, quick)
    told = row.sides["told"]
    assert told.ratio is not None
    rows = [
        replace(
            row,
            case=f"x{value}",
            sides={"told": replace(told, ratio=replace(told.ratio, median=value))},
        )
        for value in (0.5, 2.0, 8.0)
    ]
    (found,) = summarize(rows)
    assert found.ratio == pytest.approx(2.0)
    assert (found.rows, found.worst, found.worst_row) == (3, 0.5, "x0.5")
    assert found.slower == ("x0.5",)
    assert found.claim == "BN + ReLU, training, float32, against told"


def test_a_claim_has_the_means_of_its_parts(problem: Problem, quick: Options, rival: Make) -> None:
    row = ops.measure(problem, {"told": rival(lambda a: a)}, quick)
    told = row.sides["told"]
    assert told.ratio is not None
    rows = [
        replace(
            row,
            case=f"{layout}{value}",
            layout=layout,
            network=network,
            sides={"told": replace(told, ratio=replace(told.ratio, median=value))},
        )
        for layout, network, value in (("nchw", "a", 1.0), ("nhwc", "a", 4.0), ("nchw", "b", 9.0))
    ]
    (found,) = summarize(rows)
    assert found.by_layout == pytest.approx({"nchw": 3.0, "nhwc": 4.0})
    assert found.by_network == pytest.approx({"a": 2.0, "b": 9.0})
    other = [replace(row, operation="bn"), replace(row, dtype="bfloat16")]
    assert len(summarize([row, *other])) == 3


def test_inference_in_place_has_the_multiply_add_alone_beside_it(quick: Options) -> None:
    operation = OPERATIONS["inference_in_place"]
    problem = problem_of(CASES["dense-64x100-nc"], operation, torch.float32)
    before = problem.x.clone()
    rivals = {name: RIVALS[name] for name in ("torch", "compile")}
    row = ops.measure(problem, rivals, quick)
    assert set(row.sides) == {"evenkeel", "copy", "empty call", "multiply-add"}
    assert row.sides["multiply-add"].ratio is not None
    assert torch.equal(problem.x, before)
