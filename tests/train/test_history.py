import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.train.history import Grid, History, evaluation_grid, log_grid, probe_grid
from evenkeel.train.records import Evaluation, Percentiles, TrainRow

HISTORY = History(
    train=[TrainRow(1, 2.5, 0.1, 0.01), TrainRow(2, 1 / 3, 0.5, 0.01)],
    evaluations=[Evaluation(2, 0.1 + 0.2, 0.75)],
    percentiles=[Percentiles(2, -1e-30, 0.0, 1.5)],
)


@given(steps=st.integers(1, 10**6))
def test_grids_have_the_promised_number_of_steps_and_the_last(steps: int) -> None:
    for make, least, most in (
        (log_grid, 400, 800),
        (probe_grid, 200, 400),
        (evaluation_grid, 16, 40),
    ):
        grid = make(steps)
        assert steps in grid
        if steps >= most:
            assert least <= steps // grid.every <= most


def test_a_grid_holds_multiples_and_the_last_step() -> None:
    assert [step for step in range(1, 11) if step in Grid(every=4, last=10)] == [4, 8, 10]


def test_every_row_is_in_the_csv_and_reads_back_exactly() -> None:
    rows = list(csv.DictReader(io.StringIO(HISTORY.csv())))
    assert [(row["step"], row["event"]) for row in rows] == [
        ("1", "train"),
        ("2", "train"),
        ("2", "unit_input"),
        ("2", "valid"),
    ]
    assert float(rows[1]["loss"]) == 1 / 3
    assert float(rows[1]["lr"]) == 0.01
    assert float(rows[2]["p15"]) == -1e-30
    assert float(rows[2]["p85"]) == 1.5
    assert rows[2]["loss"] == ""
    assert float(rows[3]["loss"]) == 0.1 + 0.2
    assert float(rows[3]["accuracy"]) == 0.75
    assert rows[3]["lr"] == ""


def test_rows_are_in_the_order_of_steps_whatever_their_kind() -> None:
    history = History(
        train=[TrainRow(step, 0.0, 0.0, 0.0) for step in (1, 5, 9)],
        evaluations=[Evaluation(step, 0.0, 0.0) for step in (4, 9)],
    )
    steps = [int(row["step"]) for row in csv.DictReader(io.StringIO(history.csv()))]
    assert steps == [1, 4, 5, 9, 9]


def test_a_history_comes_back_from_its_state() -> None:
    restored = History.restored(HISTORY.state())
    assert restored == HISTORY
    assert restored.csv() == HISTORY.csv()
    assert type(restored.train[0].step) is int


@pytest.mark.parametrize("kind", ["train", "evaluations", "percentiles"])
def test_a_state_shares_nothing_with_the_history(kind: str) -> None:
    history = History.restored(HISTORY.state())
    state = history.state()
    state[kind].zero_()
    assert history == HISTORY
