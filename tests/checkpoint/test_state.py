"""The file that lists checkpoints: TensorFlow's, and ours in the same words."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evenkeel.checkpoint import latest_checkpoint, read_state, write_bundle, write_state
from evenkeel.errors import BadData

# recorded/checkpoint/save.txt saved under this name, at steps 0 to 2, keeping two.
NAME = 'it\'s \\ "é"-'


def test_what_tensorflow_wrote_is_read_and_written(recorded: Path, tmp_path: Path) -> None:
    state = read_state(recorded)
    assert state is not None
    assert state.model_checkpoint_path == f"{recorded}/{NAME}2"
    assert state.all_model_checkpoint_paths == (f"{recorded}/{NAME}1", f"{recorded}/{NAME}2")
    paths = [str(tmp_path / f"{NAME}{step}") for step in (1, 2)]
    write_state(tmp_path, paths[1], paths, relative=True)
    assert (tmp_path / "checkpoint").read_bytes() == (recorded / "checkpoint").read_bytes()


def test_absolute_folders_give_absolute_paths(tmp_path: Path) -> None:
    write_state(tmp_path, f"{tmp_path}/b", [f"{tmp_path}/a"])
    state = read_state(tmp_path)
    assert state is not None
    assert state.all_model_checkpoint_paths == (f"{tmp_path}/a", f"{tmp_path}/b")
    assert f'"{tmp_path}/b"' in (tmp_path / "checkpoint").read_text()


def test_relative_folders_give_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_state(".", "./model.ckpt")
    assert Path("checkpoint").read_text().startswith('model_checkpoint_path: "model.ckpt"\n')
    assert read_state(".") is not None
    assert latest_checkpoint(".") is None  # named, and not there
    write_bundle("model.ckpt", {"x": np.ones(1)})
    assert latest_checkpoint(".") == "./model.ckpt"


def test_no_file_no_state(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    assert latest_checkpoint(tmp_path) is None


def test_another_name_and_later_fields(tmp_path: Path) -> None:
    (tmp_path / "best").write_text(
        "model_checkpoint_path: '/a\\x41\\101\\9'\nall_model_checkpoint_timestamps: 1.5e+09\n\n"
    )
    state = read_state(tmp_path, "best")
    assert state is not None
    assert state.model_checkpoint_path == "/aAA9"


@pytest.mark.parametrize("text", ["model-3", 'model_checkpoint_path: "a', "\x00"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "checkpoint").write_text(text)
    with pytest.raises(BadData, match="each line"):
        read_state(tmp_path)


@settings(max_examples=20)
@example("\x011")  # an octal escape before a digit
@given(st.text(min_size=1, alphabet=st.characters(codec="utf-8", exclude_characters="\x00")))
def test_any_name_comes_back(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("names")
    write_state(folder, f"/{name}")
    state = read_state(folder)
    assert state is not None
    assert state.model_checkpoint_path == f"/{name}"
