"""load(): a name, a folder, or an error that says which names there are."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from evenkeel.data import SOURCES, load
from evenkeel.errors import BadData, DownloadFailed, UnknownName

Writer = Callable[..., Path]


def test_the_default_is_the_embedded_digits() -> None:
    assert torch.equal(load().test.images, load("digits", offline=True).test.images)
    assert load().name == "digits"


@pytest.mark.parametrize("as_given", [str, Path])
def test_a_folder_is_read(write_mnist: Writer, as_given: type[str] | type[Path]) -> None:
    data = load(as_given(write_mnist()))
    assert len(data.test) == 6


def test_a_home_folder_is_found(write_mnist: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_mnist()
    monkeypatch.setenv("HOME", str(folder.parent))
    assert len(load(f"~/{folder.name}").test) == 6


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_was_put_into_the_cache_by_hand_is_read_offline(
    write_mnist: Writer, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str
) -> None:
    folder = write_mnist(suffix=suffix)
    monkeypatch.setenv("EVENKEEL_CACHE", str(folder / "cache"))
    (folder / "cache").mkdir()
    (folder / "cache" / name).symlink_to(folder)
    data = load(name, offline=True)
    assert (data.name, len(data.test)) == (name, 6)


def test_offline_without_a_cache_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENKEEL_CACHE", str(tmp_path))
    with pytest.raises(DownloadFailed, match="the network is switched off") as caught:
        load("mnist", offline=True)
    assert str(tmp_path / "mnist") in caught.value.do


def test_a_name_wins_over_a_folder_and_a_dot_names_the_folder(
    write_mnist: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_mnist()
    (folder / "digits").symlink_to(folder)
    monkeypatch.chdir(folder)
    assert len(load("digits").test) == 300
    assert len(load("./digits").test) == 6
    assert len(load(Path("digits")).test) == 6


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        load("fashion_mnist")
    assert "try fashion-mnist" in caught.value.do
    assert all(name in str(caught.value) for name in SOURCES)
    with pytest.raises(UnknownName):
        load("")


def test_a_file_is_answered_with_its_folder(write_mnist: Writer) -> None:
    path = write_mnist() / "train-images-idx3-ubyte"
    with pytest.raises(BadData) as caught:
        load(path)
    assert str(path.parent) in caught.value.do


@pytest.mark.parametrize("path", ["./nothing", Path("nothing")])
def test_a_missing_folder_is_bad_data(path: str | Path) -> None:
    with pytest.raises(BadData, match="not a folder"):
        load(path)
