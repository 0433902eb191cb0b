import json
from pathlib import Path

import pytest

from evenkeel.bench import Options, bench
from evenkeel.bench.run import folder_for
from evenkeel.errors import BadOption, UnknownName


def test_bad_options() -> None:
    for bad in ({"threads": 0}, {"dtype": "float16"}, {"seconds": 0.0}, {"seconds": float("nan")}):
        with pytest.raises(BadOption):
            Options(**{"threads": 1, **bad})  # type: ignore[arg-type]  # wrong on purpose


def test_a_failed_suite_leaves_no_folder(tmp_path: Path) -> None:
    options = Options(threads=1, case="nonsense")
    with pytest.raises(UnknownName):
        list(bench("ops", options, tmp_path / "out"))
    assert not list(tmp_path.iterdir())
    with pytest.raises(BadOption, match="float32"):
        list(bench("nets", Options(threads=1, dtype="bfloat16"), tmp_path / "out"))
    assert not list(tmp_path.iterdir())


def test_folders_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        with folder_for(None) as folder:
            assert str(folder) == f"runs/bench-{number:03d}"


def test_numbers_that_are_none_become_null(tmp_path: Path) -> None:
    options = Options(threads=1, quick=True, case="dense-64", seconds=1e-4)
    ((_, files),) = bench("ops", options, tmp_path)
    text = files[0].read_text()
    assert "NaN" not in text
    inference = next(s for s in json.loads(text)["summary"] if s["operation"] == "inference")
    assert inference["backward_ratio"] is None
