"""The catalogue of downloads: its sums are those of the real files, its forms are checked."""

import hashlib
from pathlib import Path

import pytest

from evenkeel.data.remotes import REMOTES, RemoteFile
from evenkeel.errors import BadOption

DIGEST = hashlib.sha256(b"data").hexdigest()


def test_the_sums_of_mnist_are_those_of_the_real_files(real_mnist: Path) -> None:
    for file in REMOTES["mnist"].files:
        assert (real_mnist / file.name).stat().st_size == file.size
        assert file.matches(real_mnist / file.name)


@pytest.mark.parametrize("name", list(REMOTES))
def test_every_data_set_has_four_files_and_a_second_mirror(name: str) -> None:
    remote = REMOTES[name]
    assert remote.name == name
    assert len({file.name for file in remote.files}) == 4
    assert len({file.checksum for file in remote.files}) == 4
    assert len(remote.mirrors) >= 2
    assert all(mirror.endswith("/") for mirror in remote.mirrors)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_checksum_tells_whole_from_corrupt(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    digest = hashlib.new(algorithm, b"data").hexdigest()
    file = RemoteFile("file", 4, f"{algorithm}:{digest}")
    assert file.matches(path)
    path.write_bytes(b"dats")
    assert not file.matches(path)


@pytest.mark.parametrize(
    "checksum", [DIGEST, f"sha1:{DIGEST}", f"sha256:{DIGEST[:-1]}", f"md5:{DIGEST}", "sha256:"]
)
def test_a_checksum_of_another_form_is_refused(checksum: str) -> None:
    with pytest.raises(BadOption, match="a checksum is"):
        RemoteFile("file", 4, checksum)
