"""Beside each figure: its numbers in a table, what it lacks in words, and alternative words."""

import math
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from evenkeel.train.records import Evaluation, LayerGap, Percentiles, RunResult, TrainRow
from evenkeel.train.report import plates

NAN = math.nan


def alt(svg: str) -> str:
    return ElementTree.fromstring(svg).attrib["aria-label"]


def test_a_long_history_gives_evenly_spaced_rows_with_both_ends() -> None:
    rows = plates.spaced(list(range(1000)), 24)
    assert (len(rows), rows[0], rows[-1]) == (24, 0, 999)
    assert {b - a for a, b in pairwise(rows)} <= {43, 44}
    assert plates.spaced([1, 2, 3], 24) == [1, 2, 3]


def test_the_table_has_every_evaluation_of_both(run: RunResult, plain: RunResult) -> None:
    sheet = plates.learning_plate([run, plain]).sheets[0]
    assert sheet.head == (
        "step",
        "accuracy with BN",
        "loss with BN",
        "accuracy without BN",
        "loss without BN",
    )
    assert len(sheet.rows) == 16
    for row, ours, theirs in zip(sheet.rows, run.evaluations, plain.evaluations, strict=True):
        numbers = (ours.step, ours.accuracy, ours.loss, theirs.accuracy, theirs.loss)
        step, *shown = numbers
        assert row[0] == str(step)
        for text, number in zip(row[1:], shown, strict=True):
            scale = 100 if text.endswith("%") else 1
            assert float(text.rstrip("%")) / scale == pytest.approx(number, rel=1e-3, abs=5e-4)


def test_what_one_of_two_lacks_is_a_dash(run: RunResult, plain: RunResult) -> None:
    short = replace(plain, evaluations=plain.evaluations[:1])
    rows = plates.learning_plate([run, short]).sheets[0].rows
    assert rows[0][3] != "–"
    assert rows[1][3:] == ("–", "–")


def test_the_loss_table_has_loss_and_its_mean(run: RunResult) -> None:
    sheet = plates.learning_plate([run]).sheets[1]
    assert len(sheet.rows) == plates.ROWS
    step, loss, mean, _ = sheet.rows[-1]
    assert step == "800"
    assert float(loss) == pytest.approx(run.train[-1].loss, rel=1e-3)
    last = [row.loss for row in run.train[-20:]]
    assert float(mean) == pytest.approx(sum(last) / 20, rel=1e-3)


def test_the_layer_table_has_every_layer(failed: RunResult) -> None:
    rows = plates.gaps_plate(failed, "a").sheets[0].rows
    assert rows == (
        ("stem.bn", "8", "800", "0.04", "0.11", ""),
        ("body.1.bn", "16", "800", "3.25", "2.50", "above a guide"),
        ("body.2.bn", "16", "never", "0.90", "1.75", "above a guide"),
        ("body.3.bn", "16", "4", "0.61", "0.20", "above a guide"),
    )


def test_too_many_layers_are_drawn_in_part_and_tabled_in_full(run: RunResult) -> None:
    layers = tuple(LayerGap(f"bn{index}", 4, index / 500, 0.1, 9) for index in range(120))
    plate = plates.gaps_plate(replace(run, check=replace(run.check, layers=layers)), "a")
    assert plate.notes == ("Drawn: the 80 widest of 120 layers; the table has all.",)
    assert len(plate.sheets[0].rows) == 120
    assert ">bn40<" in plate.wide and ">bn39<" not in plate.wide


def test_the_percentile_table_has_the_records(run: RunResult) -> None:
    rows = plates.percentiles_plate([run]).sheets[0].rows
    first, last = run.percentiles[0], run.percentiles[-1]
    for row, record in ((rows[0], first), (rows[-1], last)):
        numbers = [float(text) for text in row]
        assert numbers == pytest.approx(
            [record.step, record.p15, record.p50, record.p85], rel=1e-3, abs=1e-9
        )


def test_alternative_words_carry_the_outcome(run: RunResult, failed: RunResult) -> None:
    learning = alt(plates.learning_plate([run]).wide)
    first, last = run.train[0].loss, run.train[-1].loss
    assert f"loss {first:.4g} at step 1, {last:.4g} at step 800" in learning
    assert "validation accuracy 97.3% at step 800" in learning
    gaps = alt(plates.gaps_plate(failed, "a").narrow)
    assert "4 layers, 3 above a guide" in gaps
    assert "means: 3.25 in body.1.bn" in gaps and "variances: 2.50 in body.1.bn" in gaps
    percentiles = alt(plates.percentiles_plate([run]).wide)
    assert "at step 0" in percentiles and "at step 800" in percentiles


def test_a_network_without_batch_normalization_says_so(run: RunResult, plain: RunResult) -> None:
    plate = plates.gaps_plate(plain, "a")
    assert (plate.wide, plate.narrow, plate.sheets) == ("", "", ())
    assert "no batch normalization" in plate.notes[0]
    without = plates.gaps_plate(replace(run, check=plain.check), "a")
    assert without.notes == ("No layer of this network keeps running statistics.",)


def test_empty_histories_are_said_instead_of_drawn(run: RunResult) -> None:
    empty = replace(run, train=(), evaluations=(), percentiles=())
    learning, percentiles = plates.learning_plate([empty]), plates.percentiles_plate([empty])
    assert learning.notes == ("No training loss recorded.", "No validation accuracy recorded.")
    assert percentiles.notes == ("No percentiles recorded.",)
    for plate in (learning, percentiles):
        assert (plate.wide, plate.narrow, plate.sheets) == ("", "", ())


def test_a_run_of_one_step_says_so(one_step: RunResult) -> None:
    learning = plates.learning_plate([one_step])
    assert "One training step was logged: a point, not yet a curve." in learning.notes
    assert learning.wide
    percentiles = plates.percentiles_plate([one_step])
    assert percentiles.wide == ""
    assert "NaN or infinite at every record" in percentiles.notes[0]


def test_gaps_in_a_history_are_counted(run: RunResult, plain: RunResult) -> None:
    holed = replace(
        run,
        train=(*run.train[:9], TrainRow(10, math.inf, 0.1, 0.1), *run.train[10:]),
        evaluations=(Evaluation(50, 0.1, NAN), *run.evaluations[1:]),
        percentiles=(*run.percentiles[:1], Percentiles(10, NAN, 0, 1), *run.percentiles[2:]),
    )
    notes = plates.learning_plate([holed]).notes
    assert "not finite at 1 of 800 records, first at step 10" in notes[0]
    assert "not finite at 1 of 16 records, first at step 50" in notes[1]
    (note,) = plates.percentiles_plate([holed, plain]).notes
    assert note.startswith("With BN: Percentiles: not finite at 1 of 81 records")
