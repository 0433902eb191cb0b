"""Rows that were measured are on disk, whatever happens to the next."""

import json
from pathlib import Path

import pytest

from evenkeel.bench import run
from evenkeel.bench.options import Options
from evenkeel.bench.suite import Work, records


@pytest.fixture
def options() -> Options:
    return Options(threads=1)


def doubled(task: int) -> int:
    if task == 3:
        raise KeyboardInterrupt
    return 2 * task


def test_the_record_grows_row_by_row(options: Options) -> None:
    found = list(records("ops", Work(tasks=[1, 2], measure=doubled), options))
    assert [(list(one.rows), one.planned) for one in found] == [([2], 2), ([2, 4], 2)]
    (empty,) = records("ops", Work(tasks=[], measure=doubled, left_out={"a": "b"}), options)
    assert (empty.rows, empty.left_out) == ((), {"a": "b"})


def test_an_interrupted_run_keeps_its_rows(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(tasks=[1, 2, 3, 4], measure=doubled)
    monkeypatch.setitem(run.SUITES._rows, "ops", lambda _: work)
    with pytest.raises(KeyboardInterrupt, match=r"interrupted; .*ops\.json"):
        list(run.bench("ops", options, tmp_path))
    record = json.loads((tmp_path / "ops.json").read_text())
    assert (record["rows"], record["planned"]) == ([2, 4], 4)
