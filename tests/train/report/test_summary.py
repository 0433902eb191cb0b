"""The words of a report carry the numbers of its records."""

import math
import shlex
from dataclasses import replace

import pytest

from evenkeel.train.records import Evaluation, InferenceCheck, LayerGap, RunResult
from evenkeel.train.report import summary


def with_accuracies(result: RunResult, *accuracies: float) -> RunResult:
    curve = tuple(Evaluation(100 * place, 0.1, a) for place, a in enumerate(accuracies, 1))
    return replace(result, evaluations=curve)


def test_the_headline_has_every_test_accuracy(run: RunResult, plain: RunResult) -> None:
    assert summary.headline([run]) == "conv20 scores 97.5% on the test images"
    both = summary.headline([run, plain])
    assert both == "conv20 scores 97.5% with BN and 94.3% without BN on the test images"


def test_the_headline_says_that_a_check_failed(failed: RunResult, plain: RunResult) -> None:
    assert "FAILED" in summary.headline([failed])
    assert "FAILED" in summary.headline([failed, plain])
    assert "FAILED" not in summary.headline([plain])


def test_the_account_has_length_data_time_and_accuracies(run: RunResult) -> None:
    told = summary.account(run)
    for words in ("800 steps", "64 images", "digits", "1 min 2 s", "97.3%", "97.5%"):
        assert words in told


def test_unknown_accuracies_are_called_so(one_step: RunResult) -> None:
    assert "validation images: not known" in summary.account(one_step)


def test_two_alike_are_told_apart_by_label(run: RunResult) -> None:
    names = summary.arm_names([replace(run, label="momentum 0.1"), replace(run, label="x" * 99)])
    assert names == ["momentum 0.1", "x" * 15 + "…" + "x" * 15]


def test_steps_to_reach(run: RunResult, plain: RunResult) -> None:
    fast = with_accuracies(run, 0.85, 0.9, 0.96, 0.955)
    slow = with_accuracies(plain, 0.4, 0.7, math.nan, 0.91)
    rows = [(row.accuracy, row.steps, row.of) for row in summary.steps_to_reach([fast, slow])]
    assert rows == [
        (0.5, (100, 200), ""),
        (0.8, (100, 400), ""),
        (0.9, (200, 400), ""),
        (0.91, (300, 400), "without BN"),
        (0.95, (300, None), ""),
        (0.96, (300, None), "with BN"),
    ]
    ratios = [row.ratio for row in summary.steps_to_reach([fast, slow])]
    assert ratios == [2.0, 4.0, 2.0, pytest.approx(4 / 3), None, None]


def test_the_race_is_told_from_the_side_of_the_winner(run: RunResult, plain: RunResult) -> None:
    fast, slow = with_accuracies(run, 0.8, 0.95), with_accuracies(plain, 0.3, 0.75)
    told = summary.race([fast, slow])
    assert "without BN is 75.0%, at step 200; the network with BN was there by step 100" in told
    told = summary.race([replace(slow, batch_norm=True), replace(fast, batch_norm=False)])
    assert "with BN is 75.0%, at step 200; the network without BN was there by step 100" in told


def test_without_evaluations_there_is_no_race(run: RunResult, plain: RunResult) -> None:
    assert "never evaluated" in summary.race([run, replace(plain, evaluations=())])
    assert summary.steps_to_reach([replace(run, evaluations=()), with_accuracies(plain, 0.2)]) == [
        summary.Reach(0.2, (None, 100), "without BN")
    ]


@pytest.mark.parametrize(
    ("mean_gap", "var_gap", "beyond"),
    [
        (0.5, 0.6, False),
        (0.51, 0.0, True),
        (0.0, 0.7, True),
        (math.nan, 0.0, True),
        (0.0, math.inf, True),
    ],
)
def test_a_layer_is_over_a_guide(mean_gap: float, var_gap: float, beyond: bool) -> None:
    assert summary.over(LayerGap("bn", 4, mean_gap, var_gap, 100)) is beyond


def test_each_cause_of_a_failure_names_its_layers(failed: RunResult) -> None:
    silent, young, apart = summary.advice(failed.check)
    assert "body.2.bn" in silent and "No training batch" in silent
    assert "body.3.bn" in young and "4 batches" in young
    assert "body.1.bn" in apart and "stem.bn" not in apart


def test_many_layers_are_counted_not_listed() -> None:
    layers = tuple(LayerGap(f"bn{index}", 4, 9.0, 9.0, 0) for index in range(7))
    (advice,) = summary.advice(InferenceCheck(100, 0.1, 3, layers, False, ""))
    assert "bn0, bn1, bn2, bn3 and 3 more layers" in advice


def test_a_failure_without_a_culprit_still_gets_advice() -> None:
    layers = (LayerGap("bn", 4, 0.1, 0.1, 100),)
    assert "No layer stands out" in summary.advice(InferenceCheck(9, 0.1, 3, layers, False, ""))[0]


def test_what_passed_needs_no_advice(run: RunResult, plain: RunResult) -> None:
    assert summary.advice(run.check) == summary.advice(plain.check) == []


def test_the_check_means_something_else_for_each_outcome(
    run: RunResult, plain: RunResult, failed: RunResult
) -> None:
    meanings = {summary.meaning(result.check) for result in (run, plain, failed)}
    assert len(meanings) == 3
    assert "do not get the answers" in summary.meaning(failed.check)


def test_the_command_says_everything_again(one_step: RunResult) -> None:
    words = shlex.split(" ".join(summary.command([one_step])))
    assert words[:3] == ["evenkeel", "train", "conv20"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert options == {
        "--data": "/home/me/'my' data & more",
        "--steps": "1",
        "--batch-size": "1",
        "--lr": "0.002",
        "--seed": "0",
        "--threads": "1",
        "--device": "cuda",
        "--placement": "after",
    }


def test_the_command_knows_the_two_other_forms(run: RunResult, plain: RunResult) -> None:
    assert summary.command([run, plain])[-3:] == ["--placement", "before", "--compare"]
    assert summary.command([plain])[-3:] == ["--threads", "2", "--without-bn"]


def test_the_learning_rate_of_the_command_is_exact(run: RunResult) -> None:
    lr = 0.1 + 0.2
    words = summary.command([replace(run, lr=lr)])
    assert float(words[words.index("--lr") + 1]) == lr
