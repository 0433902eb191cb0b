from pathlib import Path

import pytest

from evenkeel.errors import BadRun
from evenkeel.train.folder import (
    claimed,
    load_result,
    new_folder,
    open_folder,
    resume_command,
    write_config,
)
from train.configs import SHORT as CONFIG


def test_the_default_folders_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = []
    for recipe in ("conv20", "conv20", "dnn-elu"):
        with new_folder(None, recipe) as folder:
            (folder / "kept").touch()
            names.append(str(folder))
    assert names == ["runs/conv20-001", "runs/conv20-002", "runs/dnn-elu-001"]


def test_a_folder_is_made_with_its_parents_and_an_empty_one_is_taken(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a" / "b", "conv20") as folder:
        assert folder.is_dir()
    with new_folder(folder, "conv20") as again:
        assert again == folder


def test_after_an_error_only_what_was_made_and_is_empty_goes(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name, file, stays in (("new", "", False), ("used", "run.json", True), ("mine", "", True)):
        with pytest.raises(RuntimeError), new_folder(tmp_path / name, "conv20") as folder:
            if file:
                (folder / file).touch()
            raise RuntimeError
        assert (tmp_path / name).exists() == stays


def test_a_folder_with_a_run_in_it_is_refused_with_the_way_to_go_on(tmp_path: Path) -> None:
    write_config(tmp_path, CONFIG)
    with pytest.raises(BadRun) as caught, new_folder(tmp_path, "conv20"):
        pass
    assert "already holds a run" in str(caught.value)
    assert resume_command(tmp_path) in str(caught.value)


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(BadRun, match="not empty"), new_folder(tmp_path, "conv20"):
        pass
    assert (tmp_path / "thesis.tex").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/evenkeel")):
        with pytest.raises(BadRun, match="output folder cannot be written"), new_folder(path, "x"):
            pass


def test_a_configuration_comes_back_also_by_the_checkpoint(tmp_path: Path) -> None:
    write_config(tmp_path, CONFIG)
    assert open_folder(tmp_path) == (tmp_path, CONFIG)
    assert open_folder(str(tmp_path / "last.ckpt")) == (tmp_path, CONFIG)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pt").touch()
    for path, word in (
        (tmp_path, "no run.json in it"),
        (tmp_path / "none", "no such folder"),
        (tmp_path / "model.pt", "no such folder"),
    ):
        with pytest.raises(BadRun, match="not a run of evenkeel's") as caught:
            open_folder(path)
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{", "not valid JSON"),
        ("{}", "misses fields"),
        ('"x"', "must be an object"),
    ],
)
def test_a_damaged_configuration_is_refused_by_name(
    tmp_path: Path, content: str, word: str
) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(BadRun) as caught:
        open_folder(tmp_path)
    assert word in str(caught.value)
    assert str(tmp_path / "run.json") in str(caught.value)


def test_a_binary_configuration_or_result_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "result.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadRun, match="cannot be read"):
        open_folder(tmp_path)
    with pytest.raises(BadRun, match="cannot be read"):
        load_result(tmp_path)


def _claim(folder: Path) -> None:
    with claimed(folder):
        pass


def test_a_claimed_folder_is_refused_to_another_process_until_released(tmp_path: Path) -> None:
    with claimed(tmp_path):
        with pytest.raises(BadRun, match="another process"):
            _claim(tmp_path)  # another open file stands for another process: flock is per file
        with pytest.raises(BadRun, match="another process"):
            _claim(tmp_path)
    _claim(tmp_path)


def test_an_error_inside_a_claim_releases_it(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError), claimed(tmp_path):
        raise BlockingIOError  # also this one is the caller's, not ours
    _claim(tmp_path)
